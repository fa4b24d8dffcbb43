"""How a client of each dialect proves who it is (design section 8)."""

from parley.gateway.head import Request
from parley.kit.identity import Identity
from parley.kit.tokens import Tokens
from parley.protocol.apps import DEFAULT
from parley.protocol.dialects import Dialect, Hello
from parley.protocol.dialects.parley_v1 import BEARER
from parley.protocol.dialects.peerjs import PeerJs


async def identify(tokens: Tokens, request: Request, hello: Hello, app: str | None, dialect: Dialect) -> Identity:
    """Return who knocks, for which app; raise Refusal. *app* is what the request itself names, if it does."""
    if isinstance(dialect, PeerJs):  # its check compares the key, which is public; the token is PeerJS's own
        return Identity(app=app or DEFAULT, direct=True)
    return await tokens.identify(token(request, hello.query), app)


def token(request: Request, query: dict[str, str]) -> str | None:
    """Return the token, from wherever the client could put it."""
    for name in request.subprotocols:
        if name.startswith(BEARER):
            return name.removeprefix(BEARER)
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    return query.get("token")
