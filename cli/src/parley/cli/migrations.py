"""
Bring the schemas of all services up to date: ``python -m parley.cli.migrations``.

One process for the three of them: most of the time such a process takes is spent importing SQLAlchemy.
"""

import asyncio
import os
import sys

from parley.kit.lifecycle import CannotStart
from parley.kit.migrate import migrate

PACKAGES = ("parley.presence", "parley.rooms", "parley.history")


async def main() -> None:
    """Migrate each schema of the database at DATABASE_URL, one after another: Alembic's context is a global."""
    for package in PACKAGES:
        await migrate(os.environ["DATABASE_URL"], package)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except CannotStart as error:
        sys.exit(str(error))
