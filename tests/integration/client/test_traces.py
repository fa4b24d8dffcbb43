"""A program's own trace goes on in Parley; what hands it over is what clients/python/README.md shows."""

from uuid import uuid4

from opentelemetry.propagate import inject
from opentelemetry.sdk.trace import TracerProvider
from support.eventually import eventually
from support.instance import Instance
from support.otlp import OtlpReceiver, ReceivedSpan

from parley.client import connect


def traceparent() -> str | None:
    carrier: dict[str, str] = {}
    inject(carrier)
    return carrier.get("traceparent")


async def test_what_a_program_asks_for_is_part_of_its_span(parley: Instance, traces: OtlpReceiver) -> None:
    """And what it asks for outside of any is not."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("a program")
    room = uuid4().hex
    async with connect(parley.url, traceparent=traceparent) as client:
        with tracer.start_as_current_span("announce") as span:
            await client.join(room)
        await client.send(room, {"about": "dinner"})
    here = span.get_span_context()

    def sent() -> list[ReceivedSpan]:
        spans = traces.traces.get(f"{here.trace_id:032x}", [])
        return [span for span in spans if span.name.startswith("send parley.in.")]

    await eventually(lambda: None if sent() else "the gateway's span has not come")
    assert [(span.parent_id, span.attributes["parley.route"]) for span in sent()] == [(f"{here.span_id:016x}", "join")]
