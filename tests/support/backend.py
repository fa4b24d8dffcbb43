"""A backend that reads the public events, and knows from them what REST would say. It shares no code with Parley."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

Event = dict[str, Any]
Known = dict[str, Any]


class Backend:
    """
    What can be known from the events alone.

    How a member presents itself in a room, and who joins a call that lasts, is told to clients and not to backends.
    """

    def __init__(self) -> None:
        self.connections: Known = {}
        self.rooms: Known = {}
        self.messages: dict[str, list[Known]] = {}
        """By room, over all its epochs."""
        self.calls: Known = {}
        self.reports: dict[str, list[Known]] = {}
        """By call."""
        self.activity: Counter[str] = Counter()
        self._steps: list[Known] = []
        """Of all negotiations, in order, each with its room."""
        self.followed: set[str] = set()
        """The types of the events so far."""

    def follow(self, payload: bytes) -> None:
        """Take up an event."""
        event = json.loads(payload)
        self.followed.add(event["type"])
        if counter := COUNTERS.get(event["type"]):
            self.activity[counter] += 1
        fold = FOLDS[event["type"]]
        if fold:
            fold(self, event, event["data"])

    def opened(self, event: Event, data: Known) -> None:
        assert data["connectionId"] not in self.connections, "opened twice"
        self.connections[data["connectionId"]] = {
            "userId": data["userId"],
            "deviceId": data["deviceId"],
            "metadata": data["metadata"],
            "dialect": data["dialect"],
            "availability": "online",
            "connectedAt": event["time"],
            "rooms": [],
        }

    def closed(self, _: Event, data: Known) -> None:
        del self.connections[data["connectionId"]]

    def presented(self, _: Event, data: Known) -> None:
        self.connections[data["connectionId"]] |= {name: data[name] for name in ("availability", "metadata")}

    def created(self, event: Event, data: Known) -> None:
        assert data["room"] not in self.rooms, "created twice"
        self.rooms[data["room"]] = {
            "epoch": data["epoch"],
            "position": 0,
            "openedAt": event["time"],
            "members": {},
            "call": None,
        }

    def room_closed(self, _: Event, data: Known) -> None:
        assert not self.rooms.pop(data["room"])["members"], "closed, and somebody is in it"

    def joined(self, event: Event, data: Known) -> None:
        room = self._advanced(data)
        room["members"][data["connectionId"]] = {
            "userId": data["userId"],
            "deviceId": data["deviceId"],
            "joinedAt": event["time"],
        }
        assert len(room["members"]) == data["members"]
        connection = self.connections[data["connectionId"]]
        connection["rooms"] = sorted([*connection["rooms"], data["room"]])

    def left(self, _: Event, data: Known) -> None:
        room = self._advanced(data)
        del room["members"][data["connectionId"]]
        assert len(room["members"]) == data["members"]
        if connection := self.connections.get(data["connectionId"]):  # else it is over, as presence was first to say
            connection["rooms"].remove(data["room"])

    def posted(self, event: Event, data: Known) -> None:
        self._advanced(data)
        self.messages.setdefault(data["room"], []).append(
            {name: data[name] for name in ("room", "epoch", "position", "id", "userId", "text", "data")}
            | {"from": data["connectionId"], "time": event["time"]}
        )

    def call_started(self, event: Event, data: Known) -> None:
        self.rooms[data["room"]]["call"] = {"id": data["callId"], "startedAt": event["time"]}
        self.calls[data["callId"]] = {
            "room": data["room"],
            "epoch": data["epoch"],
            "state": "active",
            "startedAt": event["time"],
            "endedAt": None,
            "durationMs": None,
            "reason": None,
            "participants": data["participants"],
            "traceId": None,
            "setupMs": (offered := self._since(event, data, "offered")),
            "firstAnswerMs": (
                offered - answered
                if (answered := self._since(event, data, "answered")) is not None and offered is not None
                else None
            ),
            "firstMediaMs": None,
            "ownTraceId": None,
        }

    def stepped(self, event: Event, data: Known) -> None:
        step = {"time": event["time"], "type": event["type"].rpartition(".")[2]}
        untraced = {"traceId": None, "traceUrl": None}
        self._steps.append(step | {"from": data["connectionId"], "to": data["to"], "room": data["room"]} | untraced)

    def reported(self, event: Event, data: Known) -> None:
        if data["callId"] is None:
            return
        said = self.reports.setdefault(data["callId"], [])
        for peer in data["peers"]:
            rest = {name: value for name, value in peer.items() if name != "connectionId"}
            said.append(
                {"time": event["time"], "connectionId": data["connectionId"], "peer": peer["connectionId"]} | rest
            )
        self._waited(self.calls[data["callId"]], said)

    def _waited(self, call: Known, said: list[Known]) -> None:
        """Keep the least that one who began the call has waited for another such."""
        began = {who["connectionId"] for who in call["participants"] if who["joinedAt"] == call["startedAt"]}
        first: dict[tuple[str, str], float] = {}
        for report in said:
            if report["firstMediaMs"] is not None and {report["connectionId"], report["peer"]} <= began:
                first.setdefault((report["connectionId"], report["peer"]), report["firstMediaMs"])
        call["firstMediaMs"] = min(first.values(), default=None)

    def negotiation(self, id_: str) -> list[Known]:
        """Return the steps that belong to a call."""
        call = self.calls[id_]
        people = {who["connectionId"] for who in call["participants"]}
        if call["endedAt"] is None:
            heard = (said for said in self.reports.get(id_, ()) if said["firstMediaMs"] is not None)
            people |= {said["connectionId"] for said in heard}
        begin = self._begin(call["room"], call["startedAt"])
        return [
            {name: value for name, value in step.items() if name != "room"}
            for step in self._steps
            if begin <= _moment(step["time"])
            and (call["endedAt"] is None or step["time"] <= call["endedAt"])
            and (
                (step["room"] == call["room"] and {step["from"], step["to"]} & people)
                or (step["room"] is None and {step["from"], step["to"]} <= people)
            )
        ]

    def _since(self, event: Event, data: Known, kind: str) -> int | None:
        """Return how long before the call the first step of a kind was, among those who began it."""
        people = {who["connectionId"] for who in data["participants"]}
        begin, start = self._begin(data["room"], event["time"]), _moment(event["time"])
        for step in self._steps:
            among = step["from"] in people and (step["to"] in people or (step["to"] is None and step["room"]))
            here = step["room"] in (None, data["room"])
            if step["type"] == kind and among and here and begin <= _moment(step["time"]) <= start:
                return (start - _moment(step["time"])) // timedelta(milliseconds=1)
        return None

    def _begin(self, room: str, start: str) -> datetime:
        """Return from when on the steps are of the call that began at *start*."""
        ends = [call["endedAt"] for call in self.calls.values() if call["room"] == room and call["startedAt"] < start]
        return max(_moment(start) - timedelta(minutes=1), *(_moment(end) for end in ends if end), EARLIEST)

    def call_ended(self, event: Event, data: Known) -> None:
        self.rooms[data["room"]]["call"] = None
        self.calls[data["callId"]] |= {"state": "ended", "endedAt": event["time"]} | {
            name: data[name] for name in ("startedAt", "durationMs", "reason", "participants")
        }

    def _advanced(self, data: Known) -> Known:
        room: Known = self.rooms[data["room"]]
        assert (data["epoch"], data["position"]) == (room["epoch"], room["position"] + 1)
        room["position"] = data["position"]
        return room


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


EARLIEST = _moment("0001-01-01T00:00:00Z")

COUNTERS = {
    "connection.opened": "connectionsOpened",
    "connection.closed": "connectionsClosed",
    "room.joined": "joins",
    "room.left": "leaves",
    "message.posted": "messages",
    "call.started": "callsStarted",
    "call.ended": "callsEnded",
    "negotiation.offered": "offers",
    "negotiation.failed": "negotiationsFailed",
    "event.failed": "eventsFailed",
}

FOLDS: dict[str, Callable[[Backend, Event, Known], None] | None] = {
    "connection.opened": Backend.opened,
    "connection.closed": Backend.closed,
    "presence.changed": Backend.presented,
    "room.created": Backend.created,
    "room.joined": Backend.joined,
    "room.left": Backend.left,
    "room.closed": Backend.room_closed,
    "message.posted": Backend.posted,
    "call.started": Backend.call_started,
    "call.ended": Backend.call_ended,
    "call.quality": Backend.reported,
    "negotiation.offered": Backend.stepped,
    "negotiation.answered": Backend.stepped,
    "negotiation.failed": Backend.stepped,
    "event.failed": None,
}
"""What each event does to what is known; None if REST has no word of it, so that no snapshot can be another."""
