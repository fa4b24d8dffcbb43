"""``parley check``: what the services would say about ``parley.yaml``, before they are started."""

from parley.cli.problem import Problem
from parley.kit.apps import AppsError, read


def check(file: str) -> str:
    """Return a sentence about the apps that *file* declares; raise Problem with all that is wrong."""
    try:
        declared = read(file)
    except AppsError as error:
        raise Problem(str(error)) from None
    if not declared:
        return f"{file} is right, and declares no app."
    lines = [f"{name}: {app.served}{_where(app.paths)}" for name, app in declared.items()]
    return "\n".join([f"{file} is right.", *(f"  {line}" for line in lines)])


def _where(paths: tuple[str, ...]) -> str:
    return f", at {' and '.join(paths)}" if paths else ""
