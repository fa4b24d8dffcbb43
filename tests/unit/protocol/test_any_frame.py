"""Whatever a frame holds, a profile with routes built in makes of it what it may, or says why not; 10^5 of each."""

import json
import random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.apps import App
from parley.protocol.dialects import MAX_NAME_BYTES, Conversation, Dialect, Hello, Misunderstood
from parley.protocol.dialects.apprtc import AppRtc
from parley.protocol.dialects.broadcast import Broadcast, BroadcastText
from parley.protocol.dialects.y_webrtc import YWebrtcOnApiGateway
from parley.protocol.dialects.yown import Yown

HELLO = Hello("/app/stage", {"deviceId": "d"})
DIALECTS = (Yown(App()), Broadcast(App()), BroadcastText(App()), AppRtc(App()), YWebrtcOnApiGateway())
CONVERSATIONS = 10
FRAMES = 100
"""Of one conversation."""

WORDS: list[Any] = [
    *("joinRoom", "sendMsgToRoom", "NEGOTIATE", "negotiate", "onMessage", "register", "send", "$connect", "$default"),
    *("subscribe", "unsubscribe", "publish", "ping", "offer", "answer", "room", "", "é🎉", "\0", "a\0b", '"', "\\"),
    *("x" * 1024, "x" * 1025, "é" * 513, '{"type":"offer","offer":{"sdp":"v=0"}}', "\ud800"),
    *(None, True, False, 0, -1, 1.5, 1e300, 2**70, [], {}, [["a"]], {"a": {"b": [None]}}),
]
MEMBERS = [
    *("action", "cmd", "type", "roomId", "roomid", "clientid", "message", "msg", "data", "id", "topic", "topics", "to"),
    *("connectionId", "recipientConnectionId", "targetConnectionId", "clients", "description", "candidate", "é", "\0"),
]


def frame(dice: random.Random) -> bytes:
    """Return a frame that looks like one of some profile's, or is spoilt."""
    body: Any = {name: dice.choice(WORDS) for name in dice.sample(MEMBERS, dice.randint(0, 8))}
    for name in ("action", "cmd", "type"):
        if dice.random() < 0.5:
            body[name] = dice.choice(WORDS[:14])
    if dice.random() < 0.2:
        body["topics"] = dice.sample(WORDS, 4)
    if dice.random() < 0.05:
        body = dice.choice([dice.choice(WORDS), [body], "[" * 2000])
    written = bytearray(json.dumps(body, ensure_ascii=dice.random() < 0.5).encode(errors="replace"))
    if dice.random() < 0.2:
        for _ in range(dice.randint(1, 3)):
            written[dice.randrange(len(written))] = dice.choice(b'"{}[]:,\\0 x')
    if dice.random() < 0.1:
        del written[dice.randrange(len(written)) :]
    return written.decode(errors="replace").encode()  # the gateway lets nothing else come here


def heard(request: ask.ClientRequest) -> says.ToClient | None:
    """Return what others are told of a request."""
    match request:
        case ask.Send(room=room, data=data):
            return says.Message(room=room, from_="c", data=data)
        case ask.Publish(room=room, data=data):
            return says.Published(room=room, from_="c", data=data, members=2)
        case ask.Relay(room=room, text=text):
            return says.ChatPosted(
                room=room, position=1, id="1", from_="c", user_id=None, text=text, data=Raw(b"null"), time="now"
            )
        case ask.Signal(data=data):
            return says.SignalFrom(from_="c", data=data)
        case _:
            return None


def is_as_it_may(dialect: Dialect, seat: Conversation, said: bytes) -> None:
    try:
        requests = list(seat.decode(said))
    except Misunderstood as misunderstood:
        refused = dialect.refuse(misunderstood, misunderstood.ref, "c", "r")
        assert refused is not None
        json.loads(refused)
        return
    for request in requests:
        if isinstance(request, ask.Join | ask.Leave | ask.Send | ask.Publish | ask.Relay):
            assert 0 < len(request.room.encode()) <= MAX_NAME_BYTES
            assert "\0" not in request.room
        msgspec.json.encode(request)
        told = heard(request)
        if told is not None:
            words = dialect.encode(told, 1)
            written = words("other") if callable(words) else words
            assert written is not None
            written.decode()
            if not isinstance(told, says.ChatPosted):
                json.loads(written)
        if not isinstance(request, ask.Ping | ask.RefreshToken | ask.Invoke):
            seat.accepted(request)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 1 << 64))
def test_a_frame_asks_for_what_it_may_or_is_refused(seed: int) -> None:
    """A thousand frames an example, as an example costs Hypothesis much more than a frame costs us."""
    dice = random.Random(seed)
    for _ in range(CONVERSATIONS):
        seats = [(dialect, dialect.conversation(HELLO)) for dialect in DIALECTS]
        for _ in range(FRAMES):
            said = frame(dice)
            for dialect, seat in seats:
                try:
                    is_as_it_may(dialect, seat, said)
                except Exception as error:
                    error.add_note(f"{type(dialect).__name__} was told {said!r}")
                    raise
