"""What a process tells Prometheus, read by a test."""


def value(told: str, metric: str) -> float:
    """Return the sum of a metric over the labels that are not named."""
    lines = [line for line in told.splitlines() if line.startswith((f"{metric} ", f"{metric}{{"))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)
