"""
One owner's loop; the only place where the order of effects is decided.

Read what is there, reduce it, and say it in rounds: facts first and acknowledged, then deliveries and forwards and
acknowledged, then replies. Only what has been said is checkpointed, so a successor says again what may not have been,
in the same words. A checkpoint is taken between two readings and written while the loop goes on.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import structlog

from parley.kit import metrics
from parley.kit.bus import Bus, LogFullError, Message
from parley.kit.ownership import LEASE_SECONDS, Claim, Progress
from parley.kit.reader import Reader, StreamReplacedError, reading
from parley.kit.rounds import Round, Rules
from parley.kit.state import Changes, State
from parley.kit.writer import Writer
from parley.protocol import subjects

BOUND_SECONDS: Final = 90.0
"""
For how long an owner goes on without a checkpoint, or without hearing that the partition is still its own.

Far below the time for which EVENTS and gateways know a repetition when they see one.
"""

FAR_BEHIND: Final = 2000
"""Entries behind the log at which an owner that was level is so no longer: seconds of work."""

FULL_SECONDS: Final = 0.5
"""How often a stream that is full is asked again."""

_REDUCED: Final = metrics.counter("partition_entries", "Entries of the log that owners here have reduced.")
_DELAY: Final = metrics.histogram(
    "partition_delay_seconds",
    "From storing an entry in the log until its owner has said all that follows from it: the oldest of each reading.",
)

_ANNOUNCED: Final = metrics.tally("events", "Public events that owners here have stored, by type.", "type").counts

_log = structlog.get_logger("parley.owner")


class Snapshot(NamedTuple):
    """A partition between two readings: how far it is, and what has changed since the last snapshot."""

    progress: Progress
    changes: Changes


class Owner:
    """The owner of one partition, from claim to loss."""

    def __init__(self, bus: Bus, writer: Writer, service: str, classes: str, claimed: Claim) -> None:
        """*classes* is the last token of the subjects that are read: ``*`` or ``c``."""
        self.partition: Final = claimed.partition
        self.fence: Final = claimed.fence
        self.rules: Rules | None = None
        """Once the state is loaded."""
        self._bus = bus
        self._writer = writer
        self._service = service
        self._subjects = [f"{subjects.partition_ingress(claimed.partition)[:-1]}{classes}"]
        self._claimed = claimed
        self._reader: Reader | None = None
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._stopping = False
        self._at_rest = True
        """Whether the loop is between two readings, so that the rows, the cursor and what was said agree."""
        self._renewed = self._loop.time()
        self._dirty_since: float | None = None
        """When the first entry was read that is in no snapshot yet."""
        self._unsaved_since: float | None = None
        """When the first entry was read of the snapshot that is being written."""
        self._has_caught_up = False
        self._wanted = False
        self._taken: Snapshot | None = None
        self._news = asyncio.Event()

    @property
    def behind(self) -> int | None:
        """How many entries of the log are still to be read; None if we don't know."""
        return None if self._reader is None else self._reader.behind

    @property
    def unsaved_seconds(self) -> float:
        """How long ago the oldest entry was read that no checkpoint has; 0 if there is none."""
        since = self._unsaved_since or self._dirty_since
        return 0.0 if since is None else self._loop.time() - since

    @property
    def level(self) -> bool:
        """Whether everything that was stored has been reduced and said; under load, whether we are not far behind."""
        behind = self.behind
        if behind is None or behind > FAR_BEHIND:
            self._has_caught_up = False
        elif behind == 0 and self._at_rest:
            self._has_caught_up = True
        return self._has_caught_up

    @property
    def state(self) -> State | None:
        """The state, once it is loaded."""
        return None if self.rules is None else self.rules.state

    async def run(self, state: State) -> None:
        """Own the partition until cancelled, or stopped."""
        self._task = asyncio.current_task()
        claimed = self._claimed
        rules = self.rules = Rules(self._service, self.partition, state, limit=self._bus.max_batch)
        created = await self._bus.created(subjects.INGRESS)
        if claimed.stream in ("", created):
            rules.begin(created, claimed.cursor, claimed.time, claimed.batches)
        else:
            rules.begin(claimed.stream, claimed.cursor, claimed.time, claimed.batches)
            await self._log_lost(rules, created)
        while not self._stopping:
            try:
                await self._read(rules)
            except StreamReplacedError as replaced:
                await self._log_lost(rules, replaced.created)

    def stop(self) -> None:
        """Have the loop end as soon as what is in hand has been said."""
        self._stopping = True
        if self._at_rest and self._task is not None:
            self._task.cancel()

    def forget(self) -> None:
        """End at once: the partition is another's."""
        self._stopping = True  # nats-py may swallow a cancellation
        if self._task is not None:
            self._task.cancel()

    def renewed(self, at: float) -> None:
        """The partition is ours for another while; we asked for it *at* that time, and may have slept since."""
        self._renewed = at
        self._news.set()

    def snapshot(self) -> Snapshot | None:
        """
        Return what is to be written, if there is something; ask for the next one when this one is written.

        While something is in hand there is none; one will be taken as soon as that has been said.
        """
        if self._at_rest:
            self._take()
        else:
            self._wanted = True
        taken, self._taken = self._taken, None
        return taken

    def saved(self) -> None:
        """The last snapshot is written."""
        self._unsaved_since = None
        self._news.set()

    async def _read(self, rules: Rules) -> None:
        async with reading(
            self._bus, subjects.INGRESS, self._subjects, rules.cursor + 1, created=rules.stream
        ) as reader:
            self._reader = reader
            while not self._stopping:
                await self._is_saved_enough()
                entries = await reader.next()
                await self._is_whole(rules)
                self._begin()
                for round_ in rules.rounds(entries):
                    await self._say(round_)
                self._end()
                _REDUCED.inc(len(entries))
                _DELAY.observe(max(0.0, time.time() - entries[0].time / 1000))

    def _begin(self) -> None:
        self._at_rest = False
        if self._dirty_since is None:
            self._dirty_since = self._loop.time()

    def _end(self) -> None:
        self._at_rest = True
        if self._wanted:
            self._wanted = False
            self._take()

    async def _log_lost(self, rules: Rules, created: str) -> None:
        _log.warning("the log is another one; closing what the last one left", partition=self.partition)
        self._begin()
        await self._say(rules.log_lost(created))
        self._end()

    async def _say(self, round_: Round) -> None:
        await self._is_still_mine()
        for facts in round_.fact_waves():
            await self._is_still_mine()
            await self._store(facts)
            for fact in facts:
                _ANNOUNCED[subjects.type_in(fact.subject)] += 1
        stored = [
            self._writer.put_encoded(command.partition, command.kind, command.event) for command in round_.forwards
        ]
        for wave in round_.waves(self.partition, self._bus.max_batch):
            await self._store(wave)
        for future in stored:
            await future
        for subject, body in round_.replies:
            await self._bus.say(subject, body)
        for span in round_.spans:
            span.end()

    async def _store(self, messages: Sequence[Message]) -> None:
        while True:
            try:
                await self._bus.publish_all(messages)
            except LogFullError:
                _log.error("a stream is full; make room, or nothing can be said", subject=messages[0].subject)
                await asyncio.sleep(FULL_SECONDS)
            else:
                return

    async def _is_still_mine(self) -> None:
        """Wait while we have not heard for too long that the partition is ours; we may have slept."""
        await self._bound(lambda: self._renewed)

    async def _is_saved_enough(self) -> None:
        """Wait while too much is not checkpointed, which is possible only at rest."""
        await self._bound(lambda: self._unsaved_since or self._dirty_since or self._loop.time())

    async def _is_whole(self, rules: Rules) -> None:
        """
        Wait for the end if the log has a gap behind what we have read: another has checkpointed that, and it is purged.

        Who slept past its lease does not know yet that the partition is another's. To say what that one says does no
        harm, but what comes behind a gap would be reduced without what was there.
        """
        if self._loop.time() - self._renewed < LEASE_SECONDS:
            return
        if await self._bus.first(subjects.INGRESS) > rules.cursor + 1:
            _log.warning("the log is purged further than we have read: another owns this", partition=self.partition)
            await self._loop.create_future()  # we are told to forget it as soon as PostgreSQL is asked

    async def _bound(self, since: Callable[[], float]) -> None:
        while self._loop.time() - since() >= BOUND_SECONDS:
            _log.error("an owner waits for PostgreSQL", partition=self.partition)
            self._news.clear()
            await self._news.wait()

    def _take(self) -> None:
        """Take a snapshot, unless there is one or nothing has changed."""
        rules = self.rules
        if self._taken is not None or self._dirty_since is None or rules is None:
            return
        self._unsaved_since, self._dirty_since = self._unsaved_since or self._dirty_since, None
        progress = Progress(self.partition, self.fence, rules.cursor, rules.time, rules.stream, rules.recent_marks())
        changes = [table.take_changes() for table in rules.state.tables()]
        self._taken = Snapshot(progress, Changes(self.partition, changes))
