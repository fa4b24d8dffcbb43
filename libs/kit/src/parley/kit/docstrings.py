"""Docstrings below the fields of a class, which Python parses and then forgets."""

import ast
import inspect
import textwrap


def field_docs(cls: type) -> dict[str, str]:
    """Return what stands below each annotated field of *cls* and of the classes it derives from."""
    docs: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        try:
            source = textwrap.dedent(inspect.getsource(ancestor))
        except (OSError, TypeError):  # a builtin, or a class made without a file
            continue
        definition = ast.parse(source).body[0]
        if not isinstance(definition, ast.ClassDef):
            continue
        for field, below in zip(definition.body, definition.body[1:], strict=False):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    docs[name] = inspect.cleandoc(text)
    return docs
