"""What an app declares about itself: which clients it serves and where, who may come in, what is behind its routes.

Written by people in ``parley.yaml`` (`parley.kit.apps` reads it), so every name is camelCase as on the wire, and what
is not known is refused. Pure: structs and the questions that can be answered from them.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from parley.protocol.dialects.selection import Selection

ProfileName = Literal[
    "apigw", "workshop", "yown", "yjs-apigw", "broadcast", "broadcast-text", "apprtc", "y-webrtc", "kvs", "peerjs"
]
"""Which clients an app serves without the subprotocol ``parley.v1``, which every app serves."""

BUILT_IN: Final[tuple[ProfileName, ...]] = (
    "workshop",
    "yown",
    "yjs-apigw",
    "broadcast",
    "broadcast-text",
    "apprtc",
    "y-webrtc",
    "peerjs",
)
"""Profiles that development mode has an app of, at the path of that name."""

OF_API_GATEWAY: Final = frozenset[ProfileName](
    {"apigw", "workshop", "yown", "yjs-apigw", "broadcast", "broadcast-text", "apprtc"}
)
"""Profiles whose clients were written for API Gateway."""

DEFAULT: Final = "default"
"""The app of those who name none."""

Text = Annotated[str, Meta(min_length=1, max_length=1024)]
Url = Annotated[str, Meta(pattern=r"^https?://\S+$", description="An http:// or https:// URL.")]
Path = Annotated[
    str, Meta(pattern=r"^/[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*$", description="A path without a slash at its end.")
]
Subject = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_=-]+(\.[A-Za-z0-9_=-]+)*$", description="A NATS subject without wildcards.")
]


class Declared(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What all parts of a declaration share."""


class Integration(Declared, frozen=True, kw_only=True):
    """What is called with the AWS_PROXY event of a route (protocols.md 1.4): exactly one of these."""

    nats: Subject | bool | None = None
    """A subject to ask; `true`: the route's own, where `parley function` listens."""
    http: Url | None = None
    """An endpoint to POST to."""
    timeout_seconds: Annotated[float, Meta(ge=0.05, le=29)] = 29
    """How long it may take (API Gateway: 50 ms to 29 s)."""

    def problem(self) -> str | None:
        """Return what is wrong with it, if anything."""
        if bool(self.nats) == bool(self.http):
            return "names exactly one of `nats` and `http`"
        return None


class Route(Integration, frozen=True, kw_only=True):
    """What a route of the app's own does with a frame."""

    response: bool = False
    """Whether the `body` of the answer is sent to the client (a route response of API Gateway)."""


class Authorizer(Integration, frozen=True, kw_only=True):
    """A REQUEST authorizer: asked before `$connect`, once for each connection."""

    identity_sources: tuple[Text, ...] = ()
    """Such as `route.request.header.Auth` or `route.request.querystring.token`: without one of these the client is
    answered 401 and nobody is asked."""


class App(Declared, frozen=True, kw_only=True):
    """An app: a tenant, with its own rooms and clients."""

    profile: ProfileName | None = None
    """Which clients it serves; if left out `workshop`, or `apigw` for an app with routes of its own."""
    paths: tuple[Path, ...] = ()
    """Where its clients connect, besides anywhere with `?app=`; below each a stage is taken too."""
    stage: Text = "production"
    """The stage that integrations are told if the client's URL names none."""
    domain_name: Text | None = None
    """What integrations are told as `domainName`, to which many a handler posts; if left out the Host that the client
    used, which a hostile client chooses."""
    strict: bool = False
    """Hold clients to the limits of the system that the profile is of, instead of Parley's own."""
    route_selection_expression: Text | None = None
    """Which route a frame selects, such as `$request.body.action`; the profile's own if left out."""
    routes: dict[Text, Route] = {}
    """Routes of the app's own by key, `$connect`, `$disconnect` and `$default` among them. They come before the
    profile's built-in ones."""
    authorizer: Authorizer | Literal["AWS_IAM", "NONE"] | None = None
    """Who decides about a connection of API Gateway's clients: an authorizer, a signature with one of the access keys,
    or nobody (then `$connect` may still refuse); if left out a token does, as everywhere."""
    stage_variables: dict[Text, str] = {}
    """Told to integrations."""
    access_keys: dict[Text, Text] = {}
    """AWS-style keys by id, with their secrets: for `@connections`, `AWS_IAM` and Kinesis."""
    reports: bool = True
    """Whether members may report how media goes between them (`report` of `parley.v1`), for history and backends."""
    key: Text = "peerjs"
    """With PeerJS: what its clients name as their key."""

    @property
    def served(self) -> ProfileName:
        """The profile that holds."""
        return self.profile or ("apigw" if self.routes else "workshop")

    @property
    def held_to_quotas(self) -> bool:
        """Whether its clients are held to the quotas of API Gateway; those of `parley.v1` never are."""
        return self.strict and self.served in OF_API_GATEWAY

    def problems(self) -> list[str]:
        """Return what is wrong with it, a clause each."""
        found = [(f"routes.{key}", route.problem()) for key, route in self.routes.items()]
        if isinstance(self.authorizer, Authorizer):
            found.append(("authorizer", self.authorizer.problem()))
        said = [f"{where} {what}" for where, what in found if what is not None]
        if self.route_selection_expression is not None:
            try:
                Selection(self.route_selection_expression)
            except ValueError as error:
                said.append(f"routeSelectionExpression {error}")
        if self.authorizer == "AWS_IAM" and not self.access_keys:
            said.append("authorizer AWS_IAM needs accessKeys to check signatures with")
        if self.served not in OF_API_GATEWAY:
            never = f"for API Gateway's clients, and the profile {self.served} has none"
            said += [f"{what} is {never}" for what in self._of_api_gateway()]
        return said

    def _of_api_gateway(self) -> list[str]:
        """Return what it says that clients of other systems would never meet: an authorizer there guards nothing."""
        said = {
            "routes": self.routes,
            "routeSelectionExpression": self.route_selection_expression,
            "authorizer": self.authorizer,
            "stageVariables": self.stage_variables,
        }
        return [what for what, value in said.items() if value]


class Declaration(Declared, frozen=True, kw_only=True):
    """The file ``parley.yaml``."""

    apps: dict[Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,255}$")], App] = {}


class Place(Struct, frozen=True):
    """What a path says."""

    app: str
    stage: str | None


class Apps:
    """All apps of an installation. One that nobody has declared is as `App` is by default."""

    def __init__(self, declared: dict[str, App]) -> None:
        self._declared = declared
        self._paths = {path: name for name, app in declared.items() for path in app.paths}

    def named(self, name: str) -> App:
        """Return the app of a name."""
        return self._declared.get(name, _UNDECLARED)

    def at(self, path: str) -> Place | None:
        """Return which app is at a path, as sent, and what stage it names; None if no app is declared there.

        One segment more than the app's own path is a stage, with or without a slash behind it.
        """
        path = path.rstrip("/")
        if (name := self._paths.get(path)) is not None:
            return Place(name, None)
        parent, _, stage = path.rpartition("/")
        if (name := self._paths.get(parent)) is not None:
            return Place(name, stage)
        return None

    def with_access_key(self, key_id: str) -> tuple[str, App] | None:
        """Return the app that has an access key of this id."""
        return next(((name, app) for name, app in self._declared.items() if key_id in app.access_keys), None)

    def items(self) -> list[tuple[str, App]]:
        """Return every declared app with its name."""
        return list(self._declared.items())


_UNDECLARED: Final = App()


def built_in() -> dict[str, App]:
    """Return the apps that development mode has without any declaration."""
    return {name: App(profile=name, paths=(f"/{name}",)) for name in BUILT_IN}
