"""Which dialect the clients of an app speak: one line for each profile."""

from collections.abc import Callable
from typing import Final

from parley.protocol.apps import App, ProfileName
from parley.protocol.dialects import Dialect
from parley.protocol.dialects.apigw import ApiGateway, Workshop
from parley.protocol.dialects.apprtc import AppRtc
from parley.protocol.dialects.broadcast import Broadcast, BroadcastText
from parley.protocol.dialects.peerjs import PeerJs
from parley.protocol.dialects.y_webrtc import YWebrtc, YWebrtcOnApiGateway
from parley.protocol.dialects.yown import Yown

PROFILES: Final[dict[ProfileName, Callable[[App], Dialect]]] = {
    "apigw": ApiGateway,
    "workshop": Workshop,
    "yown": Yown,
    "broadcast": Broadcast,
    "broadcast-text": BroadcastText,
    "apprtc": AppRtc,
    "yjs-apigw": lambda _: YWebrtcOnApiGateway(),
    "y-webrtc": lambda _: YWebrtc(),
    "kvs": ApiGateway,  # Kinesis' own clients are known by their query, at any path
    "peerjs": lambda app: PeerJs(app.key),
}
"""How the dialect of a profile is made for an app that has it."""


def dialect_of(app: App) -> Dialect:
    """Return the dialect of an app, which serves all its connections."""
    return PROFILES[app.served](app)
