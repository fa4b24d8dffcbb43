"""The REST of history."""

from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from parley.history.analytics import add_analytics
from parley.history.calls import add_calls
from parley.history.messages import add_messages
from parley.history.quality import add_quality
from parley.kit.rest import api
from parley.kit.tokens import Tokens


def history_api(db: AsyncEngine, tokens: Tokens, *, development: bool, trace_url: str = "") -> FastAPI:
    """Return the app. *trace_url* is where a trace can be looked at, a template with ``{traceId}``."""
    app = api("Parley history", tokens, development=development)
    add_messages(app, db)
    add_calls(app, db, trace_url)
    add_quality(app, db)
    add_analytics(app, db)
    return app
