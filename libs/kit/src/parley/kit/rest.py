"""
What the REST of all services has in common.

    app = api("Presence", tokens, development=True)

    @app.get("/v1/rooms/{room:name}/things")
    async def things(room: str, caller: Caller, limit: Limit = 100, cursor: Cursor = None) -> Page[Thing]: ...

Lists are ``{"items": [...], "next": cursor or null}``, fields are camelCase, errors ``{"code", "message"}`` with the
codes of the socket. A parameter that a route does not have is refused: a misspelt filter would find everything.
Never imported by the gateway: it needs no framework.
"""

from collections.abc import Callable, Coroutine, Iterator
from typing import Annotated, Any, Final, Generic, TypeVar

import structlog
from asyncpg import CannotConnectNowError, PostgresConnectionError
from fastapi import Depends, FastAPI, Query, Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.middleware import Middleware
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from parley.kit.answers import body_of, headers_of, status_of
from parley.kit.identity import Identity
from parley.kit.requests import Requests
from parley.kit.tokens import Tokens
from parley.protocol import clock
from parley.protocol.codes import ErrorCode, Refusal

MAX_LIMIT: Final = 500

_AWAY: Final = ("08", "53", "57P")
"""SQLSTATE classes: no connection, no resources, an operator stopped it."""

_log = structlog.get_logger("parley.rest")

Item = TypeVar("Item")


class Shape(BaseModel):
    """What goes out or comes in: camelCase there, snake_case here, nothing unknown taken for known."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")


class Page(Shape, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next: str | None
    """Pass it as `cursor` for the part that follows; null when nothing does."""


class Problem(Shape):
    """Why a request was refused."""

    code: ErrorCode
    """For programs; stable."""
    message: str
    """For people."""


Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items to return at most.")]
Cursor = Annotated[str | None, Query(description="`next` of the page before.")]


def _unfolded(value: Any) -> Any:
    """A plus sign that was not encoded has become a space; in a time it can only have been a zone's."""
    return value.replace(" ", "+") if isinstance(value, str) else value


def _storable(milliseconds: int) -> int:
    clock.rfc3339(milliseconds)  # raises OverflowError outside of the years 1 to 9999
    return milliseconds


def _read(value: Any) -> int:
    try:
        return _storable(clock.milliseconds(_unfolded(value)))
    except (TypeError, ValueError, OverflowError):
        raise ValueError("must be a time such as 2026-01-31T12:00:00.000Z") from None


Moment = Annotated[int, BeforeValidator(_read, json_schema_input_type=str)]
"""A time in a query, RFC 3339 there and milliseconds here."""

Time = Annotated[str, AfterValidator(str)]
"""A time in an answer: RFC 3339 in UTC with milliseconds."""


async def caller(
    request: Request,
    app: Annotated[str | None, Query(description="The app; with a token it must be the token's.")] = None,
    token: Annotated[str | None, Query(description="A token, where no header can be sent.")] = None,
) -> Identity:
    """Return who is asking."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme and scheme.lower() != "bearer":
        raise Refusal(ErrorCode.UNAUTHORIZED, "Authorize with `Authorization: Bearer <token>`.")
    tokens: Tokens = request.app.state.tokens
    return await tokens.identify(credentials.strip() or token, app)


Caller = Annotated[Identity, Depends(caller)]


def require(granted: bool, grant: str) -> None:
    """Refuse a caller who was not *granted* what its token would call *grant*."""
    if not granted:
        raise Refusal(ErrorCode.NOT_ALLOWED, f"The token does not grant {grant}.")


class Route(APIRoute):
    """A route that refuses query parameters which it does not describe."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request; called once."""
        answer_to = super().get_route_handler()
        extra = (self.openapi_extra or {}).get("parameters", ())
        names = sorted({*_queried(self.dependant), *(each["name"] for each in extra if each["in"] == "query")})
        prefixes = tuple(name.partition("<")[0] for name in names if "<" in name)

        async def strict(request: Request) -> Response:
            for name in request.query_params:
                if name not in names and not (prefixes and name.startswith(prefixes)):
                    there = f"those that there are: {', '.join(names)}" if names else "there are none here"
                    raise Refusal(ErrorCode.BAD_REQUEST, f"There is no parameter {name!r}; {there}.")
            return await answer_to(request)

        return strict


def _queried(dependant: Dependant) -> Iterator[str]:
    """Yield the query parameters of a route or a dependency, and of what it depends on."""
    for field in dependant.query_params:
        yield field.alias
    for other in dependant.dependencies:
        yield from _queried(other)


def keyed(name: str, description: str) -> dict[str, Any]:
    """Describe, for `openapi_extra`, parameters whose name holds a key of the caller's, as in ``metadata.<key>``."""
    schema = {"type": "string"}
    return {"parameters": [{"name": name, "in": "query", "description": description, "schema": schema}]}


def api(title: str, tokens: Tokens, *, development: bool) -> FastAPI:
    """Return an app without routes that keeps to these conventions; its documentation is at ``/docs``."""
    refused: dict[int | str, dict[str, Any]] = {code: {"model": Problem} for code in (400, 401, 403, 404, 503)}
    app = FastAPI(
        title=title,
        version="1",
        redirect_slashes=False,
        responses=refused,
        dependencies=[Depends(HTTPBearer(auto_error=False))],  # for the documentation; `caller` is who looks
        middleware=[
            Middleware(
                CORSMiddleware,  # who may ask is said by a token, never by a cookie, so any page may send one
                allow_origins=["*"],
                allow_methods=["*"],
                allow_headers=["authorization", "content-type", "last-event-id"],
                max_age=600,
            ),
            Middleware(Requests, loopback_only=development),
        ],
    )
    app.router.route_class = Route
    app.state.tokens = tokens
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _unrouted)
    for trouble in (DBAPIError, PoolTimeout, PostgresConnectionError, CannotConnectNowError, OSError):
        app.add_exception_handler(trouble, _database)
    return app


def answer(refusal: Refusal) -> JSONResponse:
    """Return *refusal* as a response."""
    return JSONResponse(body_of(refusal), status_of(refusal.code), headers_of(refusal))


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return answer(error)


async def _invalid(_: Request, error: Exception) -> Response:
    """Say what is wrong with the first field that is."""
    assert isinstance(error, RequestValidationError)
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    return answer(Refusal(ErrorCode.BAD_REQUEST, f"{where}: {problem['msg']}."))


async def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:  # noqa: PLR2004 - HTTP's own number
        return answer(Refusal(ErrorCode.NOT_FOUND, f"There is nothing at {request.url.path}."))
    refusal = Refusal(ErrorCode.BAD_REQUEST, f"{error.detail}.")
    return JSONResponse(body_of(refusal), error.status_code, error.headers)


async def _database(_: Request, error: Exception) -> Response:
    """Tell a database that is away, which waiting cures, from a statement that is wrong, which is our bug."""
    if isinstance(error, DBAPIError) and not _away(error):
        raise error
    _log.warning("database away", error=error)
    return answer(Refusal(ErrorCode.DEGRADED, "The database does not answer just now; try again."))


def _away(error: DBAPIError) -> bool:
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or isinstance(error, OperationalError) or state.startswith(_AWAY)
