"""The pure half of an owner: what is said, in which rounds, under which names."""

import random
from collections.abc import Iterable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from structlog.testing import capture_logs
from support import ledger
from support.replicas import post

from parley.kit import telemetry
from parley.kit.bus import Message
from parley.kit.reader import Entry
from parley.kit.rounds import FORGET_MS, PER_MESSAGE, Round, Rules
from parley.protocol.commands import AnyCommand, Batch, Moved, Negotiated, Tick, type_of
from parley.protocol.envelope import CloudEvent, Place
from parley.protocol.outputs import Deliver, Forward, Output, Reply
from parley.protocol.says import SignalFrom

CREATED = "2026-01-31T12:00:00.123456+00:00"
LIMIT = 1 << 19


def rules(state: Any = None, limit: int = LIMIT) -> Rules:
    made = Rules("ledger", 1, state or ledger.Ledger(1), limit=limit)
    made.begin(CREATED, 0, 0, {})
    return made


def entry(
    sequence: int, *commands: AnyCommand, number: int | None = None, writer: str = "g", time: int | None = None
) -> Entry:
    events = [CloudEvent(id="1", source="/test", type=type_of(command), data=command) for command in commands]
    batch = Batch(writer, sequence if number is None else number, events)
    return Entry(sequence, 1000 * sequence if time is None else time, "parley.in.1.m", msgspec.json.encode(batch))


def said(rounds: Iterable[Round]) -> list[dict[str, Any]]:
    """All deliveries to the left gateway, in order."""
    return [msgspec.json.decode(told) for round_ in rounds for told in round_.deliveries.get("left", [])]


def test_what_is_said_carries_its_place() -> None:
    """An id names service, log, entry, event, type and ordinal; an index counts deliveries of the whole entry."""
    log = [entry(7, post("a", "ana", "1"), post("b", "bob", "1"))]
    (round_,) = rules().rounds(log)

    told = said([round_])

    assert [fact.id for fact in round_.facts] == [
        "ledger.19c13ec9e7b.7.0.message.posted.0",
        "ledger.19c13ec9e7b.7.1.message.posted.0",
    ]
    assert [(one["data"]["sequence"], one["data"]["index"]) for one in told] == [(7, 0), (7, 2)]
    assert {one["source"] for one in told} == {"parley/ledger"}
    right = [msgspec.json.decode(one)["data"]["index"] for one in round_.deliveries["right"]]
    assert right == [1, 3]


def test_a_fact_is_a_cloud_event_on_the_subject_of_its_app() -> None:
    (round_,) = rules().rounds([entry(7, post("room 1", "ana", "1"))])

    (fact,) = round_.facts

    assert fact.subject == "parley.events.a.message.posted"
    event = msgspec.json.decode(fact.payload)
    assert event["type"] == "message.posted"
    assert event["subject"] == event["partitionkey"] == "room 1"
    assert event["sequence"] == "1"
    assert event["time"] == "1970-01-01T00:00:07.000Z"
    assert "traceparent" not in event


def test_the_trace_of_an_event_goes_on_in_all_that_it_causes() -> None:
    trace = "00-" + "1" * 32 + "-" + "2" * 16 + "-01"
    command: AnyCommand = post("a", "ana", "5")
    event = CloudEvent(id="1", source="/test", type="t", traceparent=trace, data=command)
    log = [Entry(1, 1, "s", msgspec.json.encode(Batch("g", 1, [event])))]
    (round_,) = rules().rounds(log)

    caused = [*(fact.payload for fact in round_.facts), *round_.deliveries["left"], round_.forwards[0].event]

    assert {msgspec.json.decode(one)["traceparent"] for one in caused} == {trace}


def test_when_the_frame_came_goes_on_to_deliveries_and_other_partitions() -> None:
    """And stays what it was, however often it is handed on."""
    came = "2026-01-31T12:00:00.123Z"
    event: CloudEvent[AnyCommand] = CloudEvent(id="1", source="/test", type="t", time=came, data=post("a", "ana", "5"))
    (round_,) = rules().rounds([Entry(1, 7000, "s", msgspec.json.encode(Batch("g", 1, [event])))])

    caused = [*round_.deliveries["left"], round_.forwards[0].event]

    assert {msgspec.json.decode(one)["time"] for one in caused} == {came}
    assert msgspec.json.decode(round_.facts[0].payload)["time"] == "1970-01-01T00:00:07.000Z"


class Recorder:
    """Records spans; each is the child of the one that came in."""

    def __init__(self, *, recording: bool = True) -> None:
        self.begun: list[Any] = []
        self._recording = recording

    def begin(self, name: str, kind: str, parent: str | None, *, attributes: Any, **_: object) -> Any:
        span = SimpleNamespace(name=name, parent=parent, traceparent=f"00-child-of-{parent}", links=[], error=None)
        span.recording = self._recording
        span.attributes = dict(telemetry.described(attributes))
        span.set = span.attributes.__setitem__
        span.link = span.links.append
        span.fail = lambda error: setattr(span, "error", error)
        self.begun.append(span)
        return span


def traced(*commands: AnyCommand) -> Round:
    events = [CloudEvent(id="1", source="/test", type="t", traceparent="in", data=command) for command in commands]
    with capture_logs():
        (round_,) = rules().rounds([Entry(1, 1, "s", msgspec.json.encode(Batch("g", 1, events)))])
    return round_


def test_each_event_has_a_span_that_ends_once_all_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(telemetry, "_tracing", recorder)

    round_ = traced(post("a", "ana", "1"), post("a", "ana", ledger.RAISES))

    assert round_.spans == recorder.begun
    assert [span.parent for span in recorder.begun] == ["in", "in"]
    assert [span.error for span in recorder.begun] == [None, "LookupError"]
    assert {span.attributes["parley.room"] for span in recorder.begun} == {"a"}
    assert said([round_])[0]["traceparent"] == "00-child-of-in"
    assert msgspec.json.decode(round_.facts[0].payload)["traceparent"] == "00-child-of-in"


def test_what_belongs_to_a_call_names_it_and_links_to_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(telemetry, "_tracing", recorder)

    round_ = traced(post("call 7", "ana", "1"), post("a", "ana", "1"))

    assert [span.attributes.get("parley.call.id") for span in recorder.begun] == ["call 7", None]
    assert [span.links for span in recorder.begun] == [[telemetry.call_of("call 7")], []]
    assert [told.get("call") for told in said([round_])] == ["call 7", None]


def test_nobody_looks_for_the_call_of_what_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_tracing", Recorder(recording=False))

    round_ = traced(post("call 7", "ana", "1"))

    assert [told.get("call") for told in said([round_])] == [None]


def test_a_batch_that_was_stored_twice_counts_once() -> None:
    one = rules()
    log = [entry(1, post("a", "ana", "1"), number=1), entry(2, post("a", "ana", "1"), number=1)]

    assert len(said(one.rounds(log))) == 1
    assert one.cursor == 2


def test_writers_count_for_themselves() -> None:
    log = [entry(1, post("a", "ana", "1"), number=5), entry(2, post("a", "bob", "1"), number=1, writer="other")]

    assert len(said(rules().rounds(log))) == 2


def test_a_mark_is_forgotten_by_the_logs_own_time() -> None:
    one = rules()
    list(one.rounds([entry(1, Tick(app=""), number=9, time=0)]))
    assert one.recent_marks() == {"g": (9, 0)}

    list(one.rounds([entry(2, Tick(app=""), number=1, writer="other", time=FORGET_MS + 1)]))

    assert set(one.recent_marks()) == {"other"}
    late = [entry(3, post("a", "ana", "1"), number=1, time=FORGET_MS + 2)]
    assert len(said(one.rounds(late))) == 1


def test_whether_old_marks_were_written_down_makes_no_difference() -> None:
    one, successor = rules(), rules()
    list(one.rounds([entry(1, Tick(app=""), number=9, time=0), entry(2, Tick(app=""), writer="o", time=FORGET_MS + 1)]))
    successor.begin(CREATED, one.cursor, one.time, one.recent_marks())
    late = [entry(3, post("a", "ana", "1"), number=1, time=FORGET_MS + 1)]

    assert said(one.rounds(late)) == said(successor.rounds(late)) != []


def test_time_never_goes_back() -> None:
    one = rules()
    list(one.rounds([entry(1, Tick(app=""), time=2000)]))

    (round_,) = one.rounds([entry(2, post("a", "ana", "1"), time=1500)])

    assert msgspec.json.decode(round_.facts[0].payload)["time"] == "1970-01-01T00:00:02.000Z"


class Moving(ledger.Ledger):
    """Connections are called as their rooms are."""

    moves = (Moved,)

    def reduce(self, event: CloudEvent[AnyCommand], at: Place) -> Iterator[Output]:
        if isinstance(event.data, Moved):
            self._note("moved", 1)
            yield Deliver("left", (event.data.connection,), SignalFrom(from_="moved", data=Raw(b"1")))
        yield from super().reduce(event, at)


def moved(connection: str) -> Moved:
    return Moved(app="a", connection=connection)


def test_a_round_ends_before_a_connection_moves_that_it_speaks_to() -> None:
    log = [entry(1, post("a", "ana", "1"), moved("a"), post("a", "ana", "2")), entry(2, post("a", "ana", "3"))]

    rounds = [len(said([round_])) for round_ in rules(Moving(1)).rounds(log)]

    assert rounds == [1, 3]


def test_many_that_move_at_once_are_one_round() -> None:
    """When a gateway has died its clients come back by the thousand, and each round waits for the bus."""
    log = [entry(1, post("a", "ana", "1"), *(moved(f"c{n}") for n in range(100)), post("b", "bob", "1"))]

    assert [len(said([round_])) for round_ in rules(Moving(1)).rounds(log)] == [102]


def test_a_connection_that_moves_twice_is_told_so_in_two_rounds() -> None:
    assert [len(said([round_])) for round_ in rules(Moving(1)).rounds([entry(1, moved("a"), moved("a"))])] == [1, 1]


def test_a_round_ends_before_the_next_is_reduced() -> None:
    """What is said must be stored before a move changes where the next thing is sent."""
    state = Moving(1)
    rounds = rules(state).rounds([entry(1, post("a", "ana", "1"), moved("a"))])

    next(rounds)

    assert "moved" not in state.notes


def test_an_event_that_raises_changes_nothing_and_is_answered() -> None:
    state = ledger.Ledger(1)
    one = rules(state)
    log = [entry(1, post("a", "ana", "1"), post("a", "ana", ledger.RAISES), post("a", "ana", "3"))]

    with capture_logs() as logged:
        rounds = list(one.rounds(log))

    assert state.lines["a", "ana"].count == 2
    assert [told["data"]["index"] for told in said(rounds)] == [0, 2]
    assert [fact.subject for fact in rounds[0].facts][1] == "parley.events.a.event.failed"
    assert logged[0]["event"] == "an event failed; it has changed nothing"


@pytest.mark.parametrize("text", [ledger.UNSPEAKABLE, ledger.RAISES_TWICE])
def test_what_cannot_be_said_changes_nothing(text: str) -> None:
    state = ledger.Ledger(1)

    with capture_logs():
        list(rules(state).rounds([entry(1, post("a", "ana", text))]))

    assert len(state.lines) == 0


@pytest.mark.parametrize(
    "unreadable",
    [
        b"",
        b"nonsense",
        b'"\xff"',
        b'{"gateway":"x","number":7,"events":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"gateway":"x","number":7,"events":[{"id":"1","source":"s","type":"t","data":{"command":"later"}}]}',
    ],
    ids=["nothing", "nonsense", "no text", "too deep", "another version's"],
)
def test_what_cannot_be_read_is_skipped(unreadable: bytes) -> None:
    one = rules()

    with capture_logs():
        rounds = list(one.rounds([Entry(1, 1, "s", unreadable), entry(2, post("a", "ana", "1"))]))

    assert one.cursor == 2
    assert len(said(rounds)) == 1


def test_a_reply_goes_to_a_subject_and_nothing_else() -> None:
    with capture_logs():
        rounds = list(
            rules().rounds([entry(1, post("a", "ana", "1", "_INBOX.x"), post("a", "ana", "2", "x y\r\nPUB z"))])
        )

    assert rounds[0].replies == [("_INBOX.x", b'{"count":1}')]


class Wide(ledger.Ledger):
    """Says something to very many."""

    def reduce(self, event: CloudEvent[AnyCommand], at: Place) -> Iterator[Output]:
        yield Deliver("left", tuple(f"{n:016d}" for n in range(1000)), SignalFrom(from_="x", data=Raw(b'"y"')))
        yield Deliver("left", ("one",), SignalFrom(from_="x", data=Raw(b'"z"')))


def test_a_delivery_to_too_many_for_one_message_is_said_in_parts() -> None:
    (round_,) = rules(Wide(1), limit=5000).rounds([entry(1, Tick(app=""))])
    told = said([round_])

    receivers = [to for one in told for to in one["data"]["to"]]
    assert receivers == [*(f"{n:016d}" for n in range(1000)), "one"]
    assert [one["data"]["index"] for one in told] == list(range(len(told)))
    messages = [message for wave in round_.waves(1, 5000) for message in wave]
    assert all(len(message.payload) < 2 * 5000 for message in messages)
    assert len({one["id"] for one in told}) == len(told)


class Loud(ledger.Ledger):
    """Says something that fits into no message."""

    def reduce(self, event: CloudEvent[AnyCommand], at: Place) -> Iterator[Output]:
        yield Deliver("left", ("one",), SignalFrom(from_="x", data=Raw(b'"' + b"y" * LIMIT + b'"')))

    def failed(self, event: CloudEvent[AnyCommand], at: Place, error: Exception) -> Iterator[Output]:
        yield Reply("failed", str(error))


def test_what_is_too_large_for_the_bus_fails_like_an_error() -> None:
    with capture_logs():
        (round_,) = rules(Loud(1)).rounds([entry(1, Tick(app=""))])

    assert round_.deliveries == {}
    assert b"the bus takes" in round_.replies[0][1]


def test_messages_to_a_gateway_follow_one_another_and_gateways_do_not_wait_for_each_other() -> None:
    round_ = Round()
    round_.deliveries = {"left": [b"1" * 40, b"2" * 40, b"3" * 40], "right": [b"4"]}

    waves = list(round_.waves(3, 100))

    assert waves == [
        [
            Message("parley.out.left", b'{"partition":3,"events":[' + b"1" * 40 + b"," + b"2" * 40 + b"]}"),
            Message("parley.out.right", b'{"partition":3,"events":[4]}'),
        ],
        [Message("parley.out.left", b'{"partition":3,"events":[' + b"3" * 40 + b"]}")],
    ]


def test_facts_of_one_room_follow_one_another_and_rooms_do_not_wait_for_each_other() -> None:
    """NATS may store the second of two that are sent together, and the first only when it is sent again."""
    round_ = Round()
    a1, b1, a2, a3, c1 = (Message("s", b"", name, name[0]) for name in ("a1", "b1", "a2", "a3", "c1"))
    round_.facts = [a1, b1, a2, a3, c1]

    assert round_.fact_waves() == [[a1, b1, c1], [a2], [a3]]


def forwarding() -> tuple[Rules, Rules]:
    """Return an owner that forwards what it hears to another partition, and the owner of that."""

    class Sends(ledger.Ledger):
        def reduce(self, event: CloudEvent[AnyCommand], at: Place) -> Iterator[Output]:
            assert isinstance(event.data, Negotiated)
            if event.data.time:
                yield Forward(2, event.data)

    class Hears(ledger.Ledger):
        def reduce(self, event: CloudEvent[AnyCommand], at: Place) -> Iterator[Output]:
            assert isinstance(event.data, Negotiated)
            yield Reply("heard", event.data.time)

    return rules(Sends(1)), rules(Hears(2))


def forwards(one: Rules, *log: Entry) -> list[msgspec.Raw]:
    return [msgspec.Raw(command.event) for round_ in one.rounds(log) for command in round_.forwards]


def test_the_slower_of_two_owners_has_not_the_last_word() -> None:
    """Both forward the same, each under its own name and in its own time."""
    mine, theirs = forwarding()
    first, second = forwards(mine, *(entry(at, Negotiated(app="a", pair=("1", "2"), time=at)) for at in (1, 2)))

    def batch(sequence: int, writer: str, *events: msgspec.Raw) -> Entry:
        payload = {"gateway": writer, "number": 1, "events": events}
        return Entry(sequence, sequence, "parley.in.2.m", msgspec.json.encode(payload))

    log = [batch(1, "quick", first, second), batch(2, "slow", first), batch(3, "slower", first, second)]

    assert [reply for round_ in theirs.rounds(log) for reply in round_.replies] == [("heard", b"1"), ("heard", b"2")]


def test_forwards_of_partitions_have_marks_of_their_own() -> None:
    mine, theirs = forwarding()
    (said,) = forwards(mine, entry(5, Negotiated(app="a", pair=("1", "2"), time=5)))
    other = msgspec.Raw(bytes(said).replace(b'"partitionkey":"1"', b'"partitionkey":"3"'))
    client = entry(7, Negotiated(app="a", pair=("1", "2"), time=7))
    payload = msgspec.json.encode({"gateway": "g", "number": 1, "events": [said, other]})

    rounds = theirs.rounds([Entry(6, 6, "parley.in.2.m", payload), client])

    assert [reply for round_ in rounds for reply in round_.replies] == [
        ("heard", b"5"),
        ("heard", b"5"),
        ("heard", b"7"),
    ]


def test_the_halves_of_what_is_too_large_do_not_depend_on_the_order_of_rows() -> None:
    """Else a successor, whose rows come in the order of their keys, would tell one half twice and the other never."""
    names = [f"connection {number}" for number in range(30)]

    def halves(to: Iterable[str]) -> list[set[str]]:
        class Crowd(ledger.Ledger):
            def reduce(self, event: CloudEvent[AnyCommand], at: Place) -> Iterator[Output]:
                yield Deliver("left", tuple(to), SignalFrom(from_="x", data=Raw(b"1")))

        return [set(one["data"]["to"]) for one in said(rules(Crowd(1), limit=400).rounds([entry(1, Tick(app=""))]))]

    assert halves(names) == halves(reversed(names))


def test_a_message_has_no_more_deliveries_than_places() -> None:
    round_ = Round()
    round_.deliveries = {"left": [b"1"] * (PER_MESSAGE + 1)}

    sizes = [message.payload.count(b"1") for wave in round_.waves(3, 1 << 20) for message in wave]

    assert sizes == [PER_MESSAGE, 1]


def test_a_lost_log_is_closed_in_the_same_words_by_everybody() -> None:
    def closed() -> Round:
        state = ledger.Ledger(1)
        for sender in ("bob", "ana"):
            state.lines.restore(("a", sender), ledger.Line("a", sender, 1, 1))
        one = rules(state)
        said = one.log_lost("2026-02-01T00:00:00+00:00")
        assert (one.cursor, one.marks, one.stream) == (0, {}, "2026-02-01T00:00:00+00:00")
        return said

    first, second = closed(), closed()

    assert [fact.id for fact in first.facts] == [
        "ledger.19c167fcc00.0.1.message.posted.0",
        "ledger.19c167fcc00.0.1.message.posted.1",
    ]
    assert first.facts == second.facts


def test_what_a_lost_log_left_behind_is_told_of_every_partition() -> None:
    """EVENTS drops a repetition by its id, and what several partitions held is no repetition."""

    def ids(partition: int) -> set[str]:
        state = ledger.Ledger(partition)
        state.lines.restore(("a", "ana"), ledger.Line("a", "ana", 1, 1))
        closing = Rules("ledger", partition, state, limit=LIMIT)
        return {fact.id for fact in closing.log_lost("2026-02-01T00:00:00+00:00").facts}

    assert ids(1)
    assert not ids(1) & ids(2)


def words(rounds: Iterable[Round]) -> list[Any]:
    """Everything that is said, by kind and in order."""
    kinds: list[list[Any]] = [[], [], [], []]
    for one in rounds:
        kinds[0] += one.facts
        kinds[1] += sorted(
            ((gateway, told) for gateway, tolds in one.deliveries.items() for told in tolds),
            key=lambda pair: (pair[0], msgspec.json.decode(pair[1])["data"]["sequence"]),
        )
        kinds[2] += one.forwards
        kinds[3] += one.replies
    kinds[1].sort(key=lambda pair: (pair[0], msgspec.json.decode(pair[1])["data"]["sequence"]))
    return kinds


def any_command(dice: random.Random, number: int) -> AnyCommand:
    match dice.randint(0, 3):
        case 0:
            return post("a", "x", ledger.RAISES)
        case 1:
            return Negotiated(app="a", pair=("1", "2"), time=1)
        case 2:
            return Tick(app="")
        case _:
            return post(dice.choice("ab"), dice.choice("xyz"), str(number))


def random_log(dice: random.Random) -> list[Entry]:
    numbers = {"g": 0, "h": 0}
    log = []
    for sequence in range(1, 60):
        writer = dice.choice(["g", "h"])
        numbers[writer] = max(0, numbers[writer] + dice.choice([1, 1, 1, 0, -1]))
        commands = [any_command(dice, sequence) for _ in range(dice.randint(0, 4))]
        time = 1000 * sequence + dice.randint(-3000, 3000)
        log.append(entry(sequence, *commands, number=numbers[writer], writer=writer, time=time))
    return log


@pytest.mark.parametrize("seed", range(20))
def test_a_successor_from_any_checkpoint_says_the_same_words(seed: int) -> None:
    """However the log is cut into readings, and wherever an owner is replaced by one that loads the rows."""
    dice = random.Random(seed)
    log = random_log(dice)
    with capture_logs():
        expected = words(rules().rounds(log))
        found: list[Round] = []
        owner, rest = rules(), log
        while rest:
            cut = dice.randint(1, 9)
            found += owner.rounds(rest[:cut])
            rest = rest[cut:]
            if dice.random() < 0.5:
                owner = successor(owner)

    assert words(found) == expected


def successor(owner: Rules) -> Rules:
    """Return an owner that has loaded what this one checkpoints, with rows in the order of their keys."""
    state = ledger.Ledger(1)
    tables: Sequence[Any] = owner.state.tables()
    for old, new in zip(tables, state.tables(), strict=True):
        for key, row in sorted(old.rows()):
            new.restore(key, row)
    made = Rules("ledger", 1, state, limit=LIMIT)
    made.begin(owner.stream, owner.cursor, owner.time, owner.recent_marks())
    return made
