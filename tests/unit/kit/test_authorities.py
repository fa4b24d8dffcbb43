"""Who signs the certificates of NATS and PostgreSQL: a file that says nothing ends the start with a sentence."""

from pathlib import Path

import pytest
from sqlalchemy import make_url

from parley.kit.bus import nats_bus
from parley.kit.db import asyncpg_url, database
from parley.kit.lifecycle import CannotStart

POSTGRESQL = "postgresql://u:p@127.0.0.1:1/d"


@pytest.fixture(params=["missing", "empty"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    found = tmp_path / "ca.crt"
    if request.param == "empty":
        found.touch()
    return found


async def test_nats(file: Path) -> None:
    with pytest.raises(CannotStart, match=r"NATS_CA_FILE names '.*ca.crt', which has no certificates: "):
        async with nats_bus("tls://127.0.0.1:1", "test", ca_file=str(file)):
            pass


async def test_postgresql(file: Path) -> None:
    with pytest.raises(CannotStart, match=r"names '.*ca.crt' as sslrootcert, which has no certificates: "):
        async with database(f"{POSTGRESQL}?sslmode=verify-full&sslrootcert={file}", "test"):
            pass


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", {}),
        ("?sslmode=require", {"ssl": "require"}),
        ("?sslmode=verify-full&sslrootcert=system", {}),
        ("?sslmode=disable&sslrootcert=/ca.crt", {"ssl": "disable"}),
    ],
)
def test_the_driver_is_told_in_its_own_words(said: str, told: dict[str, str]) -> None:
    """What it is given as an object of Python's is not in the address."""
    assert asyncpg_url(POSTGRESQL + said) == make_url(POSTGRESQL).set(drivername="postgresql+asyncpg", query=told)
