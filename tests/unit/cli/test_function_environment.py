"""What code written for Lambda finds in its environment."""

from pathlib import Path

import certifi
import pytest

from parley.cli.function.environment import ENDPOINT, bundle, lambda_environment

DOOR = "http://127.0.0.1:8080"


def found(
    tmp_path: Path, environ: dict[str, str] | None = None, *, endpoint: str | None = DOOR, development: bool = True
) -> dict[str, str]:
    home = {"HOME": str(tmp_path)}
    return lambda_environment(home | (environ or {}), "src/app:handler", endpoint=endpoint, development=development)


def test_sdks_post_to_the_endpoint_and_may_sign_with_anything(tmp_path: Path) -> None:
    environ = found(tmp_path)

    assert environ[ENDPOINT] == DOOR
    assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} <= set(environ)


def test_what_is_set_stays(tmp_path: Path) -> None:
    given = {"AWS_REGION": "eu-west-1", "AWS_LAMBDA_FUNCTION_NAME": "chat", ENDPOINT: "https://rt.example", "X": "y"}
    environ = found(tmp_path, given)

    assert given.items() <= environ.items()
    assert environ["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert environ["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/chat"


def test_it_has_a_name_that_lambda_would_allow(tmp_path: Path) -> None:
    environ = found(tmp_path)

    assert environ["AWS_LAMBDA_FUNCTION_NAME"] == "src-app-handler"
    assert environ["_HANDLER"] == "src/app.handler"


@pytest.mark.parametrize(
    "environ",
    [
        {"AWS_ACCESS_KEY_ID": "mine"},
        {"AWS_PROFILE": "mine"},
        {"AWS_WEB_IDENTITY_TOKEN_FILE": "/token"},
        {"AWS_SHARED_CREDENTIALS_FILE": __file__},
    ],
)
def test_nobodys_credentials_are_replaced(tmp_path: Path, environ: dict[str, str]) -> None:
    assert "AWS_SECRET_ACCESS_KEY" not in found(tmp_path, environ)


def test_a_file_with_credentials_is_one(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").touch()

    assert "AWS_ACCESS_KEY_ID" not in found(tmp_path)


def test_no_credentials_are_made_up_outside_of_development_or_for_a_parley_elsewhere(tmp_path: Path) -> None:
    assert "AWS_ACCESS_KEY_ID" not in found(tmp_path, development=False)
    assert {"AWS_ACCESS_KEY_ID", ENDPOINT}.isdisjoint(found(tmp_path, endpoint=None))


def test_who_trusts_parley_still_trusts_everybody_else(tmp_path: Path) -> None:
    """What AWS_CA_BUNDLE names replaces what SDKs trust by themselves."""
    root = tmp_path / "root.pem"
    root.write_text("-----BEGIN CERTIFICATE-----\n")

    assert bundle(root) == Path(certifi.where()).read_bytes() + b"\n-----BEGIN CERTIFICATE-----\n"
