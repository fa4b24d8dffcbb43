"""
Settings of a service: small, frozen, read once from the environment, wrong ones refused with all reasons at once.

A service writes one class; each field is ``<PREFIX>_<FIELD>`` in the environment, and the docstring below
a field becomes its line in ``docs/reference/settings.md``. What all services share keeps one fixed name.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from parley.kit.apps import AppsError, read
from parley.kit.docstrings import field_docs

Port = Annotated[int, Meta(ge=0, le=65535)]
Seconds = Annotated[float, Meta(ge=0)]
Words = tuple[str, ...]

_OTHERS = frozenset(
    # The command `parley` and other services read these.
    {"PARLEY_API_KEYS", "PARLEY_DATA", "PARLEY_PORT", "PARLEY_NATS_PORT", "PARLEY_POSTGRES_PORT"},
)


class SettingsError(Exception):
    """What is wrong with the environment, a sentence per problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def shared(name: str, *, secret: bool = False) -> Meta:
    """Mark a field that every service reads from the variable *name*; a *secret* is never printed."""
    return Meta(extra={"env": name, "secret": secret})


def described(words: str, pattern: str) -> Meta:
    """Require text that matches *pattern*, which is *words* to a person."""
    return Meta(pattern=pattern, description=words)


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What every service reads. A service derives from it, and sets ``prefix``."""

    prefix: ClassVar[str]
    """The service's name in capitals, such as ``GATEWAY``."""

    mode: Annotated[Literal["development", "production"], shared("PARLEY_MODE")] = "production"
    """In `development` clients need no token; listen on loopback only then."""
    nats_url: Annotated[str, shared("NATS_URL", secret=True)] = "nats://127.0.0.1:4222"
    """Where NATS listens; several servers of a cluster are separated by commas. `tls://` insists on TLS."""
    nats_ca_file: Annotated[str, shared("NATS_CA_FILE")] = ""
    """File with the authority (PEM) that signs the certificates of NATS. Empty: whom this machine trusts."""
    stream_replicas: Annotated[int, Meta(ge=1, le=5), shared("PARLEY_STREAM_REPLICAS")] = 1
    """Servers that hold each stream; 3 on a cluster, so that one may die. Used where a stream is made."""
    ingress_bytes: Annotated[int, Meta(ge=1 << 20), shared("PARLEY_INGRESS_BYTES")] = 1 << 30
    """Size at which the log of what clients did refuses more. Used where the stream is made."""
    events_days: Annotated[float, Meta(gt=0), shared("PARLEY_EVENTS_DAYS")] = 7
    """Days for which public events are kept. Used where the stream is made."""
    partitions: Annotated[int, Meta(ge=1, le=64), shared("PARLEY_PARTITIONS")] = 16
    """Ordered shares of the ingress stream. The same for all services, fixed for the life of an installation."""
    apps: Annotated[str, shared("PARLEY_APPS")] = ""
    """File that declares the apps of this installation (`parley.yaml`). Empty: all apps are as they are by default."""
    token_secret: Annotated[str, shared("PARLEY_TOKEN_SECRET", secret=True)] = ""
    """Secret that signs the tokens of clients (HS256). Empty: tokens come from `PARLEY_JWKS` only."""
    jwks: Annotated[str, shared("PARLEY_JWKS")] = ""
    """File or URL of the key set (JWKS) that verifies the tokens of clients."""
    stun_urls: Annotated[Words, shared("STUN_URLS")] = ()
    """STUN servers told to clients, separated by commas, such as `stun:stun.example.org:3478`."""
    turn_urls: Annotated[Words, shared("TURN_URLS")] = ()
    """TURN servers told to clients, separated by commas."""
    turn_secret: Annotated[str, shared("TURN_SECRET", secret=True)] = ""
    """Secret shared with the TURN server (coturn's `static-auth-secret`)."""
    turn_ttl: Annotated[Seconds, shared("TURN_TTL")] = 3600
    """Seconds for which TURN credentials hold."""
    otlp_endpoint: Annotated[str, shared("OTEL_EXPORTER_OTLP_ENDPOINT")] = ""
    """Where traces are sent (OTLP over HTTP), such as `http://collector:4318`. Empty: nowhere. OpenTelemetry's other
    variables hold too, such as `OTEL_TRACES_SAMPLER=parentbased_traceidratio` with `OTEL_TRACES_SAMPLER_ARG=0.01`."""
    trace_slow_seconds: Annotated[float, Meta(gt=0), shared("PARLEY_TRACE_SLOW_SECONDS")] = 1
    """Seconds from when on work is slow: its span is recorded though the sampler refused it, as is one that failed. A
    delivery's time counts from the arrival of the client's frame."""
    metrics_exporter: Annotated[tuple[Literal["otlp", "prometheus", "none"], ...], shared("OTEL_METRICS_EXPORTER")] = (
        "prometheus",
    )
    """How metrics leave: `otlp` sends them to where traces are sent, too; `/metrics` is there in any case."""
    metrics_interval: Annotated[float, Meta(ge=10), shared("OTEL_METRIC_EXPORT_INTERVAL")] = 60_000
    """Milliseconds between two sendings of metrics."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], shared("PARLEY_LOG_LEVEL")] = "info"
    """What is logged: this and what is graver."""
    log_private: Annotated[bool, shared("PARLEY_LOG_PRIVATE")] = False
    """Whether logs may hold what clients say and who they are: their addresses and names, and all that errors quote."""
    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` in a container."""
    http_port: Port = 0
    """Port of REST and of the probes `/livez` and `/readyz`; 0 takes a free one."""
    ready_file: str = ""
    """File to write the chosen addresses to, as one JSON line, once the service is open."""

    @property
    def development(self) -> bool:
        """Whether clients without a token are let in."""
        return self.mode == "development"

    @property
    def pushes(self) -> bool:
        """Whether metrics are sent to the receiver of OTLP."""
        return "otlp" in self.metrics_exporter

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Return the settings that *environ* holds, or raise SettingsError with everything that is wrong."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        variables = {variable.env: variable for variable in variables_of(cls)}
        for variable in variables.values():
            given = environ.get(variable.env, "")
            if given:
                try:
                    values[variable.field] = variable.convert(given)
                except msgspec.ValidationError:
                    problems.append(variable.complaint(given))
            elif variable.required:
                problems.append(
                    f"{variable.env} is missing. It is: {field_docs(cls).get(variable.field, variable.kind)}"
                )
        problems += _unknown(cls.prefix, environ, set(variables))
        if not problems:
            settings = cls(**values)
            problems += settings.problems()
            if not problems:
                return settings
        raise SettingsError(problems)

    def problems(self) -> Iterator[str]:
        """Yield a sentence for all that no single variable is wrong about; a service adds its own."""
        if self.pushes and not self.otlp_endpoint:
            yield "OTEL_METRICS_EXPORTER is otlp, but OTEL_EXPORTER_OTLP_ENDPOINT does not say where to: set it."
        if not all(_is_url(server) for server in self.nats_url.split(",")):
            yield "NATS_URL is no list of URLs: write what is special in a user or a password as %2F, %23 and so on."
        if self.apps:
            try:
                read(self.apps)
            except AppsError as error:
                yield from str(error).splitlines()


class Stateful(Common, frozen=True, kw_only=True):
    """What a service reads that keeps its state in PostgreSQL."""

    database_url: Annotated[
        str,
        described("text that begins with postgresql://", r"^postgres(ql)?(\+asyncpg)?://"),
        shared("DATABASE_URL", secret=True),
    ]
    """PostgreSQL, as `postgresql://user:password@host:port/database`."""


class Variable(msgspec.Struct, frozen=True):
    """One environment variable: what the code, an error or the documentation needs to know of it."""

    env: str
    field: str
    type: Any
    default: Any
    required: bool
    shared: bool
    secret: bool

    @property
    def kind(self) -> str:
        """What may be written there, in words."""
        return _kind(msgspec.inspect.type_info(self.type))

    def convert(self, given: str) -> Any:
        """Return *given* as the field's type."""
        raw = [word.strip() for word in given.split(",") if word.strip()] if _is_list(self.type) else given
        return msgspec.convert(raw, self.type, strict=False)

    def complaint(self, given: str) -> str:
        """Return the sentence that says why *given* was refused."""
        sentence = f"{self.env} must be {self.kind}" + ("" if self.secret else f", not {given!r}") + "."
        if given.startswith("tcp://"):
            sentence += " (Kubernetes sets it for a Service of that name: put `enableServiceLinks: false` in the pod.)"
        return sentence


def variables_of(settings: type[Common]) -> list[Variable]:
    """Return the variables that *settings* reads, those of the service itself last."""
    found = []
    for field in msgspec.structs.fields(settings):
        extra = _extra(field.type)
        found.append(
            Variable(
                env=extra.get("env") or f"{settings.prefix}_{field.name.upper()}",
                field=field.name,
                type=field.type,
                default=None if field.default is msgspec.NODEFAULT else field.default,
                required=field.required,
                shared="env" in extra,
                secret=bool(extra.get("secret")),
            ),
        )
    return found


def _unknown(prefix: str, environ: Mapping[str, str], known: set[str]) -> Iterator[str]:
    """Yield a sentence for each variable that looks like ours and is not."""
    ours = known | _OTHERS | {variable.env for variable in _shared_variables()}
    for name in sorted(environ):
        if name.startswith((f"{prefix}_", "PARLEY_")) and name not in ours:
            near = difflib.get_close_matches(name, sorted(ours), n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else "remove it, or see docs/reference/settings.md."
            if environ[name].startswith("tcp://") or name.startswith(f"{prefix}_SERVICE_"):
                hint = "Kubernetes sets it for a Service of that name: put `enableServiceLinks: false` in the pod."
            yield f"{name} is not a setting: {hint}"


def _shared_variables() -> list[Variable]:
    class Shared(Stateful, frozen=True, kw_only=True):
        prefix: ClassVar[str] = ""

    return [variable for variable in variables_of(Shared) if variable.shared]


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text.strip())
        return parts.port is None or bool(parts.hostname)
    except ValueError:
        return False


def _extra(kind: Any) -> dict[str, Any]:
    info = msgspec.inspect.type_info(kind)
    return (info.extra or {}) if isinstance(info, msgspec.inspect.Metadata) else {}


def _is_list(kind: Any) -> bool:
    info = msgspec.inspect.type_info(kind)
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    return isinstance(info, msgspec.inspect.VarTupleType)


def _kind(info: msgspec.inspect.Type) -> str:
    match info:
        case msgspec.inspect.Metadata(extra_json_schema={"description": str(words)}):
            pass
        case msgspec.inspect.Metadata():
            words = _kind(info.type)
        case msgspec.inspect.BoolType():
            words = "true or false"
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            words = "a whole number" if isinstance(info, msgspec.inspect.IntType) else "a number"
            if info.ge is not None and info.le is not None:
                words += f" from {info.ge} to {info.le}"
            elif info.ge is not None:
                words += f" of at least {info.ge}"
        case msgspec.inspect.LiteralType():
            words = " or ".join(str(value) for value in info.values)
        case msgspec.inspect.VarTupleType(item_type=msgspec.inspect.LiteralType() as choice):
            words = f"a list, separated by commas, of {_kind(choice)}"
        case msgspec.inspect.VarTupleType():
            words = "a list separated by commas"
        case _:
            words = "text"
    return words
