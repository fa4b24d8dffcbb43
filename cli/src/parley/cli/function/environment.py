"""The environment that code written for Lambda finds: what is set stays, and what Lambda would set is there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import certifi

ENDPOINT: Final = "AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI"
"""Where AWS's SDKs post to connections."""
AUTHORITIES: Final = "AWS_CA_BUNDLE"
"""File with the certificates that they trust."""
REGION: Final = "us-east-1"
CREDENTIALS: Final = (
    "AWS_ACCESS_KEY_ID",
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
"""By any of these somebody has said who he is."""


def lambda_environment(
    environ: Mapping[str, str], handler: str, *, endpoint: str | None, development: bool
) -> dict[str, str]:
    """
    Return the environment of a copy of *handler*; *endpoint* is where the Parley that runs here takes posts, if any.

    AWS's SDKs sign with whatever key they find, but refuse to speak without one. In development mode Parley takes any,
    so there is one.
    """
    handler = handler.replace(":", ".")
    region = environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or REGION
    name = environ.get("AWS_LAMBDA_FUNCTION_NAME") or handler.replace("/", ".").replace(".", "-")
    found = {
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "parley",
        "LAMBDA_TASK_ROOT": str(Path.cwd()),
        "_HANDLER": handler,
        "TZ": "UTC",
        "PYTHONUNBUFFERED": "1",  # what is printed is to be seen at once
    }
    if endpoint:
        found[ENDPOINT] = endpoint
        if development and not _has_credentials(environ):
            found |= {"AWS_ACCESS_KEY_ID": "parley", "AWS_SECRET_ACCESS_KEY": "development"}
    return found | {name: value for name, value in environ.items() if value}


def bundle(root: Path) -> bytes:
    """Return the authorities that everybody trusts, and *root*: what AWS_CA_BUNDLE names is all that SDKs trust."""
    return Path(certifi.where()).read_bytes() + b"\n" + root.read_bytes()


def _has_credentials(environ: Mapping[str, str]) -> bool:
    file = environ.get("AWS_SHARED_CREDENTIALS_FILE") or Path(environ.get("HOME", "/"), ".aws", "credentials")
    return any(environ.get(name) for name in CREDENTIALS) or Path(file).exists()
