"""How a process lives: settings, lifecycle, bus, ownership, database, HTTP, telemetry, logs."""
