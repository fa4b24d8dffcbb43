"""Which pages may open sockets here. Only browsers say where they come from; nobody else is held up."""

from collections.abc import Collection
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

PORTS: Final = {"http": 80, "https": 443}
USUAL: Final = frozenset(PORTS.values())
"""What Host leaves out; whether TLS ends before us we do not know."""


class Origins:
    """In development loopback pages and files; in production the host itself and a list."""

    def __init__(self, allowed: Collection[str], *, development: bool) -> None:
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)
        self._development = development

    def admits(self, origin: str | None, host: str) -> bool:
        """Whether a page of *origin* may connect to *host*, both as in the request's headers."""
        if origin is None or "*" in self._allowed or origin.lower() in self._allowed:
            return True
        page = _parts(origin)
        if self._development:
            return origin == "null" or _loopback(page[0])
        ours = _parts("//" + host)
        return bool(page[0]) and page[0] == ours[0] and (page[1] == ours[1] or (ours[1] is None and page[1] in USUAL))


def _parts(url: str) -> tuple[str, int | None]:
    """Return host and port; a page's is the scheme's unless it says another."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return "", None


def _loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
