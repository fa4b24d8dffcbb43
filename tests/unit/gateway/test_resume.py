"""The token with which a client comes back."""

import pytest

from parley.gateway.resume import ResumeTokens

ID = "R0oXAdfD0kwCH6w="


@pytest.mark.parametrize("subject", ["ana", None, "with space and \u00fc"])
def test_a_token_names_its_connection(subject: str | None) -> None:
    tokens = ResumeTokens("secret")

    assert tokens.read(tokens.sign("shop", ID, subject), "shop", subject) == ID


def test_a_token_is_no_good_for_another_app_or_subject() -> None:
    tokens = ResumeTokens("secret")
    token = tokens.sign("shop", ID, "ana")

    assert tokens.read(token, "other", "ana") is None
    assert tokens.read(token, "shop", "eve") is None
    assert tokens.read(token, "shop", None) is None


@pytest.mark.parametrize("token", ["", "x", "\u00e4", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "=" * 40])
def test_rubbish_is_no_token(token: str) -> None:
    assert ResumeTokens("secret").read(token, "shop", None) is None


def test_a_token_signed_elsewhere_is_none_of_ours() -> None:
    assert ResumeTokens("secret").read(ResumeTokens("other").sign("shop", ID, None), "shop", None) is None
