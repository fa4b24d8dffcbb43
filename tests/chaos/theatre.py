"""A made-up Parley that never fails: it tells stories for the checker, which tests then spoil."""

from collections import defaultdict
from itertools import count

import msgspec
from chaos.history import (
    AnyRecord,
    Broke,
    Came,
    Event,
    Frame,
    Heard,
    History,
    Kept,
    Member,
    Posted,
    Present,
    Read,
    Went,
)
from chaos.history import Said as SaidRecord
from msgspec.structs import replace

ROOM = "r"
EPOCH = "e"


class Theatre:
    """One room, and clients who are told at once what happens."""

    def __init__(self) -> None:
        self.records: list[AnyRecord] = []
        self.events: list[Event] = []
        self.posted: list[Posted] = []
        self.members: dict[str, str] = {}
        self.pictures: dict[str, Member] = {}
        self._workshop: set[str] = set()
        self._time = count(1000)
        self._n: dict[str, int] = defaultdict(int)
        self._k = count(1)
        self._position = 0
        self._sequence = 0

    def comes(self, client: str) -> None:
        self._record(Came(client=client, at=self._now(), connection=client.upper()))
        self._opened(client, "")

    def comes_from_the_workshop(self, client: str) -> None:
        self._workshop.add(client)
        came = Came(client=client, at=self._now(), connection=f"{client}#1", dialect="apigw", room=ROOM)
        self._record(came)
        self._opened(client, f"{client}#1")
        self._enter(client)

    def joins(self, client: str) -> None:
        ref = self._asks(client, action="join", room=ROOM)
        self._enter(client)
        others = tuple(self.pictures[one] for one in self.members if one != client)
        self._tell(client, type="ok", ref=ref, room=ROOM, epoch=EPOCH, position=self._position, members=others)

    def leaves(self, client: str) -> None:
        ref = self._asks(client, action="leave", room=ROOM)
        self._exit(client, "left")
        self._tell(client, type="ok", ref=ref)

    def sends(self, client: str, *, ref: bool = True) -> int:
        k = next(self._k)
        data = {"by": client, "k": k}
        asked = self._asks(client, action="send", room=ROOM, data=data, plain=not ref)
        for other in self.members:
            if other in self._workshop:
                self._record(Read(client=other, at=self._now(), text=msgspec.json.encode(data).decode()))
            elif other != client:
                self._tell(other, type="message", room=ROOM, from_=client.upper(), data=data)
        if ref:
            self._tell(client, type="ok", ref=asked)
        return k

    def chats(self, client: str) -> int:
        k = next(self._k)
        data = {"by": client, "k": k}
        text = msgspec.json.encode(data).decode()
        plain = client in self._workshop
        if plain:
            frame = Frame(action="sendMsgToRoom", room=ROOM, data=data)
            self._record(SaidRecord(client=client, at=self._now(), frame=frame))
        else:
            ref = self._asks(client, action="chat", room=ROOM, id=f"m{k}", text=text, data=data)
        self._position += 1
        id_ = f"w{k}" if plain else f"m{k}"
        posted = Posted(ROOM, EPOCH, self._position, id_, client.upper(), text)
        self.posted.append(posted)
        self._fact(
            "message.posted", position=posted.position, id=posted.id, connectionId=posted.connection, text=posted.text
        )
        for other in self.members:
            if other not in self._workshop:
                self._tell(
                    other, type="chat", room=ROOM, position=self._position, id=id_, from_=client.upper(), text=text
                )
            elif other != client:
                self._record(Read(client=other, at=self._now(), text=text))
        if not plain:
            self._tell(client, type="ok", ref=ref, room=ROOM, position=self._position)
        return k

    def signals(self, client: str, to: str) -> int:
        k = next(self._k)
        ref = self._asks(client, action="signal", to=to.upper(), data={"by": client, "k": k})
        self._tell(to, type="signal", from_=client.upper(), data={"by": client, "k": k})
        self._tell(client, type="ok", ref=ref)
        return k

    def changes(self, client: str) -> None:
        k = next(self._k)
        ref = self._asks(client, action="presence", availability="busy", metadata={"k": k})
        picture = Member(client.upper(), "busy", {"userId": client, "k": k})
        self.pictures[client] = picture
        for other in self.members:
            if other != client and other not in self._workshop:
                self._tell(
                    other,
                    type="member.changed",
                    room=ROOM,
                    connection_id=client.upper(),
                    availability="busy",
                    metadata=picture.metadata,
                )
        self._tell(client, type="ok", ref=ref)

    def breaks(self, client: str) -> None:
        self._record(Broke(client=client, at=self._now(), code=1006, how="cut"))

    def resumes(self, client: str) -> None:
        self._record(Came(client=client, at=self._now(), connection=client.upper(), resumed=True))

    def goes(self, client: str) -> None:
        self._record(Went(client=client, at=self._now(), how="left"))
        if client in self.members:
            self._exit(client, "disconnected")
        self._event("connection.closed", connectionId=client.upper())
        del self.pictures[client]

    @property
    def history(self) -> History:
        rooms = {ROOM: (EPOCH, self._position)} if self.members else {}
        present = tuple(
            Present(one.connection_id, one.availability, one.metadata, (ROOM,) if client in self.members else ())
            for client, one in self.pictures.items()
        )
        kept = Kept(
            present=present,
            rooms=rooms,
            members={ROOM: tuple(self.pictures[client] for client in self.members)} if self.members else {},
            posted=tuple(self.posted),
        )
        heard_of = tuple(one.connection_id for one in self.pictures.values())
        tables = replace(kept, heard_of=heard_of)
        return History(records=tuple(self.records), events=tuple(self.events), tables=tables, rest=kept)

    def _now(self) -> float:
        return float(next(self._time))

    def _record(self, record: AnyRecord) -> None:
        self.records.append(record)

    def _asks(self, client: str, *, plain: bool = False, **fields: object) -> str:
        ref = f"{client}{next(self._k)}"
        frame = msgspec.convert(fields | ({} if plain else {"ref": ref}), Frame)
        self._record(SaidRecord(client=client, at=self._now(), frame=frame))
        return ref

    def _tell(self, client: str, *, from_: str | None = None, **fields: object) -> None:
        self._n[client] += 10
        frame = Frame(n=self._n[client], from_=from_, **fields)  # type: ignore[arg-type] # the fields are checked by use
        self._record(Heard(client=client, at=self._now(), frame=frame))

    def _opened(self, client: str, life: str) -> None:
        self.pictures[client] = Member(client.upper(), "online", {"userId": client})
        self._event("connection.opened", connectionId=client.upper(), metadata={"life": life} if life else {})

    def _enter(self, client: str) -> None:
        if not self.members:
            self._fact("room.created")
        self._position += 1
        self.members[client] = client.upper()
        self._fact("room.joined", position=self._position, connectionId=client.upper())
        for other in self.members:
            if other == client:
                continue
            if other in self._workshop:
                self._record(Read(client=other, at=self._now(), text='{"type":"newParticipant"}'))
            else:
                member = self.pictures[client]
                self._tell(other, type="member.joined", room=ROOM, position=self._position, member=member)

    def _exit(self, client: str, reason: str) -> None:
        self._position += 1
        del self.members[client]
        self._fact("room.left", position=self._position, connectionId=client.upper())
        for other in self.members:
            if other not in self._workshop:
                self._tell(
                    other,
                    type="member.left",
                    room=ROOM,
                    position=self._position,
                    connection_id=client.upper(),
                    reason=reason,
                )

    def _fact(self, kind: str, **data: object) -> None:
        self._sequence += 1
        self._event(kind, str(self._sequence), room=ROOM, epoch=EPOCH, **data)

    def _event(self, kind: str, sequence: str = "", **data: object) -> None:
        id_ = f"{len(self.events)}"
        self.events.append(Event(id=id_, type=kind, sequence=sequence, data=data))
