"""What must hold of every decoder of clients' frames, whatever the frame: Hypothesis and atheris both look for one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Raw

from parley.protocol import requests as ask
from parley.protocol import says
from parley.protocol.apps import App
from parley.protocol.dialects import MAX_NAME_BYTES, Dialect, Hello, Misunderstood
from parley.protocol.dialects.apigw import Workshop
from parley.protocol.dialects.parley_v1 import ParleyV1
from parley.protocol.dialects.peerjs import PeerJs
from parley.protocol.dialects.y_webrtc import YWebrtc

SEEDS: Final = Path(__file__).with_name("seeds")

DECODERS: Final[dict[str, Dialect]] = {
    "parley.v1": ParleyV1(),
    "workshop": Workshop(App()),
    "y-webrtc": YWebrtc(),
    "peerjs": PeerJs("peerjs"),
}
HELLO: Final = Hello("/", {"id": "ana", "token": "t", "key": "peerjs"})


def seeds(decoder: str) -> list[bytes]:
    """Return frames as clients write them, and whatever has broken this decoder once."""
    return [file.read_bytes() for file in sorted((SEEDS / decoder).iterdir())]


def target(decoder: str) -> Callable[[bytes], None]:
    """Return what tries one frame."""
    dialect = DECODERS[decoder]
    text = isinstance(dialect, Workshop)

    def tried(data: bytes) -> None:
        frame = data.decode(errors="replace").encode()  # the gateway lets no other text come here
        conversation = dialect.conversation(HELLO)
        try:
            requests = conversation.decode(frame)
        except Misunderstood as misunderstood:
            refused = dialect.refuse(misunderstood, misunderstood.ref, "c", "r")
            assert refused is None or is_json(refused)
            return
        asked = b"".join(map(msgspec.json.encode, requests))
        assert len(asked) <= 16 * len(frame) + 4096, "a frame asks for much more than it says"
        for request in requests:
            name = getattr(request, "room", getattr(request, "box", "a"))
            assert 0 < len(name.encode()) <= MAX_NAME_BYTES
            assert "\0" not in name
            told = heard(request)
            written = None if told is None else dialect.encode(told, 1)
            for words in (written("other") if callable(written) else written,):
                assert words is None or (text and words.decode() is not None) or is_json(words)
            if not isinstance(request, ask.Ping | ask.RefreshToken | ask.Invoke):
                conversation.accepted(request)

    return tried


def heard(request: ask.ClientRequest) -> says.ToClient | None:  # noqa: PLR0911 - one answer for each
    """Return what others are told of a request."""
    match request:
        case ask.Send(room=room, data=data):
            return says.Message(room=room, from_="c", data=data)
        case ask.Relay(room=room, text=text):
            return says.Message(room=room, from_="c", data=Raw(msgspec.json.encode(text)))
        case ask.Chat(room=room, id=id_, text=text, data=data):
            return says.ChatPosted(
                room=room, position=1, id=id_, from_="c", user_id=None, text=text, data=data, time="now"
            )
        case ask.Publish(room=room, data=data):
            return says.Published(room=room, from_="c", data=data, members=2)
        case ask.Letter(box=box, name=name, sender=sender, kind=kind, data=data):
            return says.LetterCame(box=box, name=name, sender=sender, kind=kind, data=data)
        case ask.Signal(data=data):
            return says.SignalFrom(from_="c", data=data)
        case _:
            return None


def is_json(written: bytes) -> bool:
    """Whether it can be read; numbers may have more digits than Python likes."""
    json.loads(written, parse_int=str)
    return True
