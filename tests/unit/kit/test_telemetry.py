"""A process that records no spans hands on the traces it is given."""

import subprocess
import sys

import pytest

from parley.kit.telemetry import accepted, messaging, recording, span, telemetry

UPSTREAM = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_traceparent_from_upstream_goes_out_unchanged() -> None:
    with (
        span("join", parent=UPSTREAM) as joining,
        messaging("send", "parley.in", parent=joining.traceparent) as sending,
    ):
        sending.set("answer", 42)
        sending.rename("other")

    assert not recording()
    assert joining.traceparent == UPSTREAM
    assert sending.traceparent == UPSTREAM


def test_no_trace_is_started() -> None:
    with span("join") as joining:
        pass

    assert joining.traceparent is None


def test_an_error_passes_through() -> None:
    with pytest.raises(ZeroDivisionError), span("join"):
        raise ZeroDivisionError


async def test_without_an_endpoint_nothing_is_recorded() -> None:
    async with telemetry("rooms", ""):
        assert not recording()


def test_opentelemetry_is_not_imported_where_it_is_not_wanted() -> None:
    program = "import parley.kit.lifecycle, parley.kit.http, parley.kit.probes, sys; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert "parley.kit.telemetry" in modules
    assert not {"opentelemetry.sdk", "opentelemetry.trace", "fastapi", "pydantic", "sqlalchemy", "alembic"} & set(
        modules
    )


@pytest.mark.parametrize(
    "given",
    [
        None,
        7,
        "",
        "rubbish",
        UPSTREAM + "-more",
        UPSTREAM.upper(),
        UPSTREAM + "\n",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
        "ff" + UPSTREAM[2:],
    ],
)
def test_what_is_no_traceparent_is_not_accepted_from_outside(given: object) -> None:
    assert accepted(given) is None


def test_a_traceparent_is_accepted_from_outside() -> None:
    assert accepted(UPSTREAM) == UPSTREAM
