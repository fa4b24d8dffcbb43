"""The REST of history."""

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.history.calls import add_calls
from parley.history.messages import add_messages
from parley.kit.rest import api
from parley.kit.tokens import Tokens


def history_api(db: AsyncEngine, tokens: Tokens, *, development: bool) -> FastAPI:
    """Return the app."""
    app = api("Parley history", tokens, development=development)
    add_messages(app, db)
    add_calls(app, db)
    return app
