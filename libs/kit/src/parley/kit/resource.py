"""What OpenTelemetry is told of this process: the same with its traces as with its metrics."""

import uuid
from typing import Final

INSTANCE: Final = str(uuid.uuid4())
"""Which process this is: another one after every start."""


def attributes(service: str) -> dict[str, str]:
    """Return who sends; what ``OTEL_RESOURCE_ATTRIBUTES`` names comes on top."""
    return {"service.name": f"parley-{service}", "service.namespace": "parley", "service.instance.id": INSTANCE}
