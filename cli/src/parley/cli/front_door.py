"""
The front door: Caddy's configuration, one origin for everything.

The same map as the Ingress on a cluster. Paths are told apart as they were sent, before any decoding, because a room
may be called ``a/b``, which is ``a%2Fb`` there and must stay so on its way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TEMPLATE = """\
# Written by `parley up` at every start: changes are lost.
{{
	admin off
	auto_https {automation}
	default_sni localhost
	skip_install_trust
	persist_config off
	storage file_system {storage}
	grace_period 1s
	log {{
		level WARN
		# A request holds tokens, in its query and its headers, and a client's address.
		format filter {{
			request delete
			error regexp ->[^[:space:]]+ ->somebody
		}}
	}}
	servers {{
		protocols h1{trusted}
	}}
}}

(to) {{
	reverse_proxy {{args[:]}} {{
		lb_policy least_conn
		lb_try_duration 5s
		lb_try_interval 100ms
		fail_duration 2s
		flush_interval -1
		# Without this it ends sockets with a close frame, to gateways, too: a goodbye that no client has said.
		stream_close_delay 1h
	}}
}}

{site} {{
	bind {host}{tls}

	@socket {{
		header_regexp Connection (?i)upgrade
		header_regexp Upgrade (?i)^websocket$
	}}
	handle @socket {{
		import to {sockets}
	}}

	@health path /readyz /livez
	handle @health {{
		reverse_proxy {control}
	}}

	@say {{
		method POST
		vars_regexp {{http.request.orig_uri}} ^/v1/rooms/[^/?]+/messages/?(\\?|$)
	}}
	handle @say {{
		import to {rooms}
	}}

	@history vars_regexp {{http.request.orig_uri}} ^/v1/(rooms/[^/?]+/messages|messages|calls|analytics|events)([/?]|$)
	handle @history {{
		import to {history}
	}}

	@presence vars_regexp {{http.request.orig_uri}} ^/(v1/connections|v1/parts|discovery)([/?]|$)
	handle @presence {{
		import to {presence}
	}}

	@rooms vars_regexp {{http.request.orig_uri}} ^/v1/(rooms|ice-servers)([/?]|$)
	handle @rooms {{
		import to {rooms}
	}}

	@management vars_regexp {{http.request.orig_uri}} ^(/[^?]*)?/(@|%40)connections([/?]|$)
	handle @management {{
		import to {management}
	}}

	@peerjs vars_regexp {{http.request.orig_uri}} ^((/[^?]*)?/[^/?]+/(id|peers)|/peerjs)/?(\\?|$)
	handle @peerjs {{
		import to {management}
	}}

	@kinesis {{
		method POST OPTIONS
		vars_regexp {{http.request.orig_uri}} ^/({kinesis})(\\?|$)
	}}
	handle @kinesis {{
		import to {rooms}
	}}

	@nothing path /v1/*
	handle @nothing {{
		header Content-Type application/json
		respond `{{"code":"not_found","message":"There is nothing at this path."}}` 404
	}}

	handle {{
		header {{
			X-Content-Type-Options nosniff
			Referrer-Policy no-referrer
			# The rest of the page's policy is in the page; this part counts in a header only.
			Content-Security-Policy "frame-ancestors 'none'"
		}}
{web}
	}}

	handle_errors {{
		@missing expression `{{err.status_code}} in [404, 405]`
		respond @missing "{{err.status_code}} {{err.status_text}}"
		header Content-Type application/json
		header Retry-After 2
		respond `{{"code":"degraded","message":"The part behind this path does not answer; /readyz says which."}}`
	}}
}}
"""

KINESIS = (
    "(create|describe|update|delete)SignalingChannel|listSignalingChannels|getSignalingChannelEndpoint|"
    "(Tag|Untag)Resource|ListTagsForResource|describeMediaStorageConfiguration|"
    "v1/(get-ice-server-config|send-alexa-offer-to-master)"
)
"""The paths of Kinesis Video Streams' signaling."""

BUILT = """\
		root * {root}
		encode gzip
		handle /assets/* {{
			@there file
			header @there Cache-Control "public, max-age=31536000, immutable"
			file_server
		}}
		@console path /console /console/*
		handle @console {{
			rewrite * /console.html
			file_server
		}}
		handle {{
			try_files {{path}} /index.html
			file_server
		}}"""

NOT_BUILT = """\
		header Content-Type "text/html; charset=utf-8"
		respond `<!doctype html><title>Parley</title><h1>Parley runs</h1><p>The call page is not built yet: \
<code>make run</code> builds it. Sockets and the API at this address work without it.</p>`"""


@dataclass(frozen=True)
class Upstreams:
    """Who answers what, as ``host:port`` each."""

    sockets: Sequence[str]
    """Where gateways take WebSockets."""
    management: Sequence[str]
    """Where gateways take HTTP."""
    presence: Sequence[str]
    rooms: Sequence[str]
    history: Sequence[str]
    control: str
    """The supervisor."""


def caddyfile(
    address: str, upstreams: Upstreams, storage: Path, web: Path | None, *, tls: bool = False, trusted: str = ""
) -> str:
    """
    Return the configuration of a front door at *address* (``host:port``), serving the built page in *web*.

    With *tls* it speaks TLS alone, with a certificate of an authority of its own (`root_certificate`). Proxies at the
    *trusted* addresses (CIDR, separated by spaces) are believed about whom they speak for, and how: X-Forwarded-For,
    -Proto and -Host. What others say of it is replaced by what is seen.
    """
    host, _, port = address.rpartition(":")
    names = ("localhost", host, "") if tls else ("",)
    return TEMPLATE.format(
        host=host,
        site=", ".join(f"{'https' if tls else 'http'}://{name}:{port}" for name in names),
        automation="disable_redirects" if tls else "off",
        tls="\n\ttls internal" if tls else "",
        trusted=f"\n\t\ttrusted_proxies static {trusted}" if trusted else "",
        kinesis=KINESIS,
        storage=_quoted(storage),
        sockets=" ".join(upstreams.sockets),
        management=" ".join(upstreams.management),
        presence=" ".join(upstreams.presence),
        rooms=" ".join(upstreams.rooms),
        history=" ".join(upstreams.history),
        control=upstreams.control,
        web=BUILT.format(root=_quoted(web)) if web else NOT_BUILT,
    )


def root_certificate(storage: Path) -> Path:
    """Return where the authority of a front door with TLS keeps its certificate, for clients to trust."""
    return storage / "pki" / "authorities" / "local" / "root.crt"


def _quoted(path: Path) -> str:
    return f'"{path}"'
