"""The outbox: statuses on their way to EVerest, in order, until it has provably heard them.

A row is sent when EVerest listens, one at a time. It is done when the broker has acknowledged it and a later heartbeat
of the same EVerest was seen: EVerest listens with QoS 0, so the broker's word alone proves nothing. What is not done
when another EVerest comes is sent to that one: for each request the latest status, which an end status always is.

Statuses of requests from before EVerest's start wait for its registration, though not for ever. One that went out
before it (`early`) may have been dropped by EVerest, whose filter would drop a repetition too: when the registration
comes after all, it goes out again behind its predecessor, and that pair passes.

It is bounded: beyond `MOST_ROWS` only the latest status of each request is kept, of the last `MOST_REQUESTS` requests.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from everest_system.fsm.machine import Status
from everest_system.fsm.messages import FirmwareUpdateStatus, FirmwareUpdateStatusEnum, LogStatus, LogStatusEnum
from everest_system.fsm.presence.machine import is_listening
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.fsm.presence.states import PresenceState

MOST_ROWS = 1000
MOST_REQUESTS = 500


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One status on its way to EVerest.

    Attributes:
        seq: its place in the order of sending; greater than every one used before.
        module_id: the module whose topic it goes to.
        status: what it says.
        early: it went out before EVerest was registered.
        sent: it went out, once at least, to the EVerest that is or was there last.
    """

    seq: int
    module_id: str
    status: Status
    early: bool = False
    sent: bool = False

    @property
    def job(self) -> tuple[str, int]:
        """What it speaks of: a job of a machine."""
        return self.status.machine, self.status.job


def message(status: Status) -> FirmwareUpdateStatus | LogStatus:
    """The message that says `status` on the wire."""
    if status.machine == "firmware":
        return FirmwareUpdateStatus(
            firmware_update_status=FirmwareUpdateStatusEnum(status.word), request_id=status.request_id
        )
    return LogStatus(log_status=LogStatusEnum(status.word), request_id=status.request_id)


@dataclass(frozen=True, slots=True)
class OutboxChange:
    """What the store has to follow: rows that are new, gone, and marked otherwise than before."""

    added: tuple[OutboxRow, ...] = ()
    removed: tuple[int, ...] = ()
    marked: tuple[OutboxRow, ...] = ()


@dataclass(slots=True)
class Outbox:
    """One module's rows.

    Attributes:
        rows: by their place in the order of sending.
        in_flight: the row that the broker has not acknowledged yet.
    """

    rows: dict[int, OutboxRow] = field(default_factory=dict)
    in_flight: int | None = None
    _acknowledged: set[int] = field(default_factory=set)

    @property
    def awaits_heartbeat(self) -> bool:
        """The broker has a row, and the next heartbeat is to prove that EVerest heard it."""
        return any(not self.rows[seq].early for seq in self._acknowledged)

    def add(self, rows: Iterable[OutboxRow]) -> None:
        """Put `rows`, in ascending order, behind the others."""
        self.rows.update((row.seq, row) for row in rows)

    def trim(self) -> tuple[int, ...]:
        """Forget what is too much, but not the row in flight; the places of the rows forgotten."""
        if len(self.rows) <= MOST_ROWS:
            return ()
        latest = {row.job: row.seq for row in self.rows.values()}
        kept = {*sorted(latest.values())[-MOST_REQUESTS:], self.in_flight}
        dropped = tuple(seq for seq in self.rows if seq not in kept)
        self.remove(dropped)
        return dropped

    def next_row(self, presence: PresenceSnapshot) -> OutboxRow | None:
        """The row to send now; none while one is in flight, EVerest does not listen, or all is sent."""
        if self.in_flight is not None:
            return None
        registered = presence.state is PresenceState.REGISTERED
        for row in self.rows.values():
            if row.seq in self._acknowledged or (row.early and not registered):
                continue
            return row if is_listening(presence, row.status.run) else None
        return None

    def sending(self, row: OutboxRow, presence: PresenceSnapshot) -> OutboxChange:
        """`row` goes out as soon as the change is stored."""
        self.in_flight = row.seq
        early = presence.state is not PresenceState.REGISTERED and row.status.run != presence.run
        return self._mark([replace(row, early=early, sent=True)])

    def acknowledged(self) -> None:
        """The broker has the row in flight."""
        if self.in_flight is not None:
            self._acknowledged.add(self.in_flight)
            self.in_flight = None

    def disconnected(self) -> None:
        """What the broker has not acknowledged by now it never will."""
        self.in_flight = None

    def heard(self) -> tuple[OutboxRow, ...]:
        """A heartbeat came: what the broker had before it, EVerest has heard; the rows to remove."""
        done = tuple(self.rows[seq] for seq in sorted(self._acknowledged) if not self.rows[seq].early)
        self.remove(row.seq for row in done)
        return done

    def remove(self, seqs: Iterable[int]) -> None:
        """Forget rows."""
        for seq in list(seqs):
            self.rows.pop(seq, None)
            self._acknowledged.discard(seq)
            if self.in_flight == seq:
                self.in_flight = None

    def begin_run(self) -> OutboxChange:
        """Another EVerest listens: of each request only the latest status is left to say, and it is not yet heard."""
        latest = {row.job: row.seq for row in self.rows.values()}
        outdated = tuple(seq for seq in self.rows if seq not in latest.values())
        self.remove(outdated)
        self._acknowledged.clear()
        self.in_flight = None
        change = self._mark([replace(row, early=False, sent=False) for row in self.rows.values()])
        return replace(change, removed=outdated)

    def begin_again(self) -> OutboxChange:
        """We have started: of each request, what went out last is sent again, and what never did.

        EVerest may have heard what went out without our knowing. Its filter drops a repetition of the last of it; what
        went out before that would pass the filter, and be out of order.
        """
        last_sent = {row.job: row.seq for row in self.rows.values() if row.sent}
        outdated = tuple(row.seq for row in self.rows.values() if row.sent and row.seq != last_sent[row.job])
        self.remove(outdated)
        return OutboxChange(removed=outdated)

    def _mark(self, rows: Iterable[OutboxRow]) -> OutboxChange:
        changed = tuple(row for row in rows if row != self.rows[row.seq])
        self.rows.update((row.seq, row) for row in changed)
        return OutboxChange(marked=changed)

    def repeat_early(self, next_seq: int) -> OutboxChange:
        """EVerest is registered after all: say again, behind its predecessor, what went out before that."""
        early = [row for row in self.rows.values() if row.early]
        latest = {row.job: row.seq for row in self.rows.values()}
        added: list[OutboxRow] = []
        for row in early:
            if latest[row.job] != row.seq:
                continue
            pair = [replace(row.status, word=row.status.predecessor, is_end=False)] if row.status.predecessor else []
            for status in [*pair, row.status]:
                added.append(OutboxRow(next_seq + len(added), row.module_id, status))
        removed = tuple(row.seq for row in early)
        self.remove(removed)
        self.add(added)
        return OutboxChange(added=tuple(added), removed=removed)
