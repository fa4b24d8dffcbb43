"""What rules ask for, in the order in which an owner says it."""

from collections.abc import Iterable, Iterator

from parley.protocol.outputs import Apart, Output


def flat(outputs: Iterable[Output]) -> Iterator[Output]:
    """Give all outputs, those of parts with them. Unlike an owner let a part that fails fail the event."""
    for output in outputs:
        if isinstance(output, Apart):
            yield from flat(output.outputs)
        else:
            yield output
