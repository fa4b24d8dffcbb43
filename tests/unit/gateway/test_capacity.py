"""How many members a room may have is the gateway's to say, unless the protocol does."""

import pytest

from parley.gateway.session import Publish, Rules, Session
from parley.kit.identity import Identity
from parley.protocol import ids
from parley.protocol.apps import App
from parley.protocol.commands import Asked, Profile
from parley.protocol.dialects import Dialect
from parley.protocol.dialects.apigw import Workshop
from parley.protocol.dialects.apprtc import AppRtc
from parley.protocol.dialects.parley_v1 import ParleyV1
from parley.protocol.dialects.y_webrtc import YWebrtc, YWebrtcOnApiGateway

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("dialect", "frame", "capacity"),
    [
        (ParleyV1(), '{"action":"join","room":"r"}', 7),
        (Workshop(App()), '{"action":"joinRoom","roomId":"r"}', 7),
        (AppRtc(App()), '{"cmd":"register","roomid":"r","clientid":"c"}', 2),
        (YWebrtc(), '{"type":"subscribe","topics":["r"]}', 0),
        (YWebrtcOnApiGateway(), '{"type":"subscribe","topics":["r"]}', 0),
    ],
)
def test_a_room_s_capacity(dialect: Dialect, frame: str, capacity: int) -> None:
    connection = ids.connection_id(3, b"123456789")
    session = Session(connection, dialect, Identity.anonymous("a"), Profile(), Rules(16, capacity=7), NOW)

    (action,) = session.receive(frame.encode(), NOW, 0)

    assert isinstance(action, Publish)
    assert isinstance(action.command, Asked)
    assert action.command.capacity == capacity
