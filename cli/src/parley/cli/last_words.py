"""What a process that ended said last, as a sentence for the terminal."""

import os
from pathlib import Path

import msgspec

TAIL_BYTES = 8192
GRAVE = ("error", "critical", "fatal", "panic")


def last_words(log: Path, since: int) -> str:
    """Return the last grave line of *log* behind *since*, or its last one; of a JSON line, the sentence in it."""
    try:
        with log.open("rb") as file:
            file.seek(max(since, log.stat().st_size - TAIL_BYTES), os.SEEK_SET)
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    lines = [line.strip() for line in lines if line.strip()]
    grave = [line for line in lines if any(word in line.lower() for word in GRAVE)]
    return _sentence((grave or lines or [""])[-1])


def _sentence(line: str) -> str:
    try:
        said = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return line
    if not isinstance(said, dict):
        return line
    trace = str(said.get("exception") or "").strip().splitlines()
    sentence = str(said.get("event") or said.get("msg") or line)
    return trace[-1] if trace else sentence.splitlines()[0]
