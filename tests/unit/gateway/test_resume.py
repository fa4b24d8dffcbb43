"""The token with which a client comes back."""

import pytest

from parley.gateway.resume import ResumeTokens
from parley.protocol.codes import Refusal


def test_a_token_names_app_and_connection() -> None:
    tokens = ResumeTokens("secret")

    assert tokens.read(tokens.sign("shop", "R0oXAdfD0kwCH6w=")) == ("shop", "R0oXAdfD0kwCH6w=")


@pytest.mark.parametrize("token", ["", "x", "ä", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "=" * 40])
def test_rubbish_is_no_token(token: str) -> None:
    with pytest.raises(Refusal):
        ResumeTokens("secret").read(token)


def test_a_token_signed_elsewhere_is_refused() -> None:
    with pytest.raises(Refusal):
        ResumeTokens("secret").read(ResumeTokens("other").sign("shop", "R0oXAdfD0kwCH6w="))
