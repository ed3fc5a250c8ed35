"""The outbox: statuses on their way to EVerest, in order, until it has provably heard them.

A row is sent when EVerest listens, one at a time. It is done when the broker has acknowledged it and a later heartbeat
of the same EVerest was seen: EVerest listens with QoS 0, so the broker's word alone proves nothing. What is not done
when another EVerest comes is sent to that one: for each request the latest status, which an end status always is.
An acknowledgement names the one sending that it is for: a late one does not speak for the row sent again since.

Statuses of requests from before EVerest's start wait for its registration, though not for ever. One that went out
before it (`early`) may have been dropped by EVerest, whose filter would drop a repetition too: when the registration
comes after all, it goes out again behind its predecessor, and that pair passes. So does one that went out between an
EVerest's last heartbeat and another's first: that other may have heard, and dropped, it already.

It is bounded: beyond `MOST_ROWS` only the latest status of each request is kept, of the last `MOST_REQUESTS` requests
and of each machine's last one, whose delivery the machine may wait for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from everest_system.fsm.machine import Status
from everest_system.fsm.messages import (
    FirmwareUpdateMetadata,
    FirmwareUpdateStatus,
    FirmwareUpdateStatusEnum,
    LogStatus,
    LogStatusEnum,
)
from everest_system.fsm.presence.machine import is_listening
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.fsm.presence.states import PresenceState

MOST_ROWS = 1000
MOST_REQUESTS = 500
WITH_METADATA = frozenset({FirmwareUpdateStatusEnum.DOWNLOADED, FirmwareUpdateStatusEnum.SIGNATURE_VERIFIED})


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One status on its way to EVerest.

    Attributes:
        seq: its place in the order of sending; greater than every one used before.
        module_id: the module whose topic it goes to.
        status: what it says.
        early: it went out, or may have, to the EVerest that is there before that was registered.
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
    """The message that says `status` on the wire; what it says of the connectors, only where EVerest reads that."""
    if status.machine == "firmware":
        word, disables = FirmwareUpdateStatusEnum(status.word), status.disable_connectors
        told = disables is not None and word in WITH_METADATA
        return FirmwareUpdateStatus(
            firmware_update_status=word,
            request_id=status.request_id,
            firmware_update_metadata=FirmwareUpdateMetadata(disable_connectors_during_install=disables)
            if told
            else None,
        )
    return LogStatus(log_status=LogStatusEnum(status.word), request_id=status.request_id)


@dataclass(frozen=True, slots=True)
class Sending:
    """One row on its way to the broker.

    Attributes:
        module_id: whose outbox it left.
        seq: the row.
        number: tells apart the times that it was sent.
    """

    module_id: str
    seq: int
    number: int


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
        in_flight: what the broker has not acknowledged yet.
    """

    rows: dict[int, OutboxRow] = field(default_factory=dict)
    in_flight: Sending | None = None
    _acknowledged: set[int] = field(default_factory=set)
    _sent_at: dict[int, float] = field(default_factory=dict)  # since the last heartbeat, over this connection
    _sendings: int = 0

    @property
    def awaits_heartbeat(self) -> bool:
        """The broker has a row, and the next heartbeat is to prove that EVerest heard it."""
        return any(not self.rows[seq].early for seq in self._acknowledged)

    def add(self, rows: Iterable[OutboxRow]) -> None:
        """Put `rows`, in ascending order, behind the others."""
        self.rows.update((row.seq, row) for row in rows)

    def trim(self) -> tuple[int, ...]:
        """Forget what is too much, but not what is awaited; the places of the rows forgotten."""
        if len(self.rows) <= MOST_ROWS:
            return ()
        latest = {row.job: row.seq for row in self.rows.values()}
        awaited = {row.status.machine: row.seq for row in self.rows.values()}
        kept = {*sorted(latest.values())[-MOST_REQUESTS:], *awaited.values()}
        if self.in_flight is not None:
            kept.add(self.in_flight.seq)
        dropped = tuple(seq for seq in self.rows if seq not in kept)
        self.remove(dropped)
        return dropped

    def next_row(self, presence: PresenceSnapshot) -> OutboxRow | None:
        """The row to send now; none while one is in flight, EVerest does not listen, or all is sent."""
        if self.in_flight is not None:
            return None
        registered = presence.state is PresenceState.REGISTERED
        for row in self.rows.values():
            if row.seq in self._acknowledged or (row.early and row.sent and not registered):
                continue
            return row if is_listening(presence, row.status.run) else None
        return None

    def sending(self, row: OutboxRow, presence: PresenceSnapshot, at: float) -> tuple[Sending, OutboxChange]:
        """`row` goes out as soon as the change is stored; `at` in seconds of the monotonic clock."""
        self._sendings += 1
        self.in_flight = Sending(row.module_id, row.seq, self._sendings)
        self._sent_at[row.seq] = at
        early = presence.state is not PresenceState.REGISTERED and row.status.run != presence.run
        return self.in_flight, self._mark([replace(row, early=early, sent=True)])

    def acknowledged(self, sending: Sending) -> None:
        """The broker has what `sending` says; one that is no longer in flight proves nothing."""
        if sending == self.in_flight:
            self._acknowledged.add(sending.seq)
            self.in_flight = None

    def disconnected(self) -> None:
        """What the broker has not acknowledged by now it never will; who comes behind it has heard nothing yet."""
        self.in_flight = None
        self._sent_at.clear()

    def heard(self) -> tuple[OutboxRow, ...]:
        """A heartbeat came: what the broker had before it, EVerest has heard; the rows to remove."""
        done = tuple(self.rows[seq] for seq in sorted(self._acknowledged) if not self.rows[seq].early)
        self.remove(row.seq for row in done)
        self._sent_at.clear()
        return done

    def remove(self, seqs: Iterable[int]) -> None:
        """Forget rows."""
        for seq in list(seqs):
            self.rows.pop(seq, None)
            self._acknowledged.discard(seq)
            if self.in_flight is not None and self.in_flight.seq == seq:
                self.in_flight = None

    def begin_run(self, began_at: float, registered_at: float, *, may_be_same: bool) -> OutboxChange:
        """Another EVerest listens: of each request only the latest status is left to say, and it is not yet heard.

        It may have listened since `began_at`; what went out between then and `registered_at` it may have dropped.
        One that `may_be_same` is told all that never went out: its
        filter would drop the latest alone, where that repeats what it heard before.
        """
        latest = {row.job: row.seq for row in self.rows.values()}
        outdated = tuple(
            seq for seq, row in self.rows.items() if seq not in latest.values() and (row.sent or not may_be_same)
        )
        self.remove(outdated)
        self._acknowledged.clear()
        self.in_flight = None
        met = {seq for seq, at in self._sent_at.items() if began_at <= at <= registered_at}
        self._sent_at.clear()
        change = self._mark([replace(row, early=row.seq in met, sent=False) for row in self.rows.values()])
        return replace(change, removed=outdated)

    def begin_again(self) -> None:
        """We have started: what went out last is sent again, then what never did; the rest awaits a heartbeat.

        With one in flight, in order, the broker had acknowledged all that went out before the last. EVerest may have
        heard that last one without our knowing: its filter drops a repetition of the last of each kind, and would pass
        anything before it, out of order. If the next heartbeat is another EVerest's, all of it begins anew.
        """
        sent = [row.seq for row in self.rows.values() if row.sent]
        self._acknowledged.update(sent[:-1])

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
