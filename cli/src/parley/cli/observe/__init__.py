"""What `parley up --observe` runs beside the services: a viewer of traces, and a Prometheus where there is one."""

from parley.cli.observe.parts import Observers, observers

__all__ = ["Observers", "observers"]
