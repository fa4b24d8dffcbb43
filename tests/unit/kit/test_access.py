"""Which app a caller of Kinesis belongs to."""

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from parley.kit.access import Access, Caller
from parley.kit.sigv4 import BadSignature, Fault, Signed
from parley.protocol.apps import App, Apps

NOBODY = Signed("POST", "/x", "", {"host": "h"})


def signed(key: str = "AKIDANA", secret: str = "good") -> Signed:
    request = AWSRequest(method="POST", url="http://h/x", data=b"{}")
    SigV4Auth(Credentials(key, secret), "kinesisvideo", "eu-west-1").add_auth(request)
    headers = {name.lower(): value for name, value in request.headers.items()} | {"host": "h"}
    return Signed("POST", "/x", "", headers, b"{}")


def access(*, development: bool, **apps: App) -> Access:
    return Access(Apps(apps), development=development)


def fault(access: Access, request: Signed) -> Fault:
    with pytest.raises(BadSignature) as bad:
        access.by_headers(request)
    return bad.value.fault


SHOP = App(access_keys={"AKIDANA": "good"})


@pytest.mark.parametrize("development", [True, False])
def test_a_key_is_an_apps_and_its_signature_is_checked(development: bool) -> None:
    checks = access(development=development, shop=SHOP)

    assert checks.by_headers(signed()) == Caller("shop", "eu-west-1", "AKIDANA")
    assert fault(checks, signed(secret="bad")) is Fault.SIGNATURE


def test_in_development_mode_any_other_key_is_the_built_in_apps() -> None:
    checks = access(development=True, shop=SHOP)

    assert checks.by_headers(signed("ANY", "x")) == Caller("kvs", "eu-west-1", "ANY")
    assert checks.by_headers(NOBODY) == Caller("kvs", "us-east-1", "")
    assert checks.by_query(NOBODY) == Caller("kvs", "us-east-1", "")


@pytest.mark.parametrize("development", [True, False])
def test_once_the_built_in_app_has_keys_too_others_are_refused(development: bool) -> None:
    checks = access(development=development, kvs=SHOP)

    assert fault(checks, signed("ANY", "x")) is Fault.UNKNOWN_KEY
    assert fault(checks, NOBODY) is Fault.MISSING
    assert checks.by_headers(signed()).app == "kvs"


def test_in_production_nobody_comes_in_without_a_key() -> None:
    assert fault(access(development=False), signed()) is Fault.UNKNOWN_KEY
    assert fault(access(development=False), NOBODY) is Fault.MISSING
