"""Codes: what clients rely on."""

import pytest

from parley.protocol.codes import RETRY_AFTER_MS, CloseCode, ErrorCode


@pytest.mark.parametrize("code", [code for code in CloseCode if code >= 4000])
def test_our_close_codes_say_by_their_range_whether_to_reconnect(code):
    assert code.reconnect == (code < 4500)


def test_a_restart_asks_to_come_back():
    assert CloseCode.RESTART.reconnect


def test_only_codes_that_waiting_cures_say_how_long():
    assert set(RETRY_AFTER_MS) == {ErrorCode.RATE_LIMITED, ErrorCode.DEGRADED}
