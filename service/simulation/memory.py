"""The store without a disk."""

from everest_system.fsm.outbox import OutboxRow
from everest_system.io.store.store import Change, Saved, Transition


class FakeMemory:
    """Keeps what the station commits, as `io.store.Store` does, and outlives the station.

    A crash of the service loses nothing of it: the next station is made from `load()`. Texts and rows are immutable, so
    nothing that a dead station does can change what was committed.

    Attributes:
        log: every change that was not empty, in order.
        history: every transition, oldest first.
    """

    def __init__(self) -> None:
        self.log: list[Change] = []
        self.history: list[Transition] = []
        self._snapshots: dict[tuple[str, str], str] = {}
        self._rows: dict[int, OutboxRow] = {}
        self._last_seq = 0

    def commit(self, change: Change) -> None:
        """All of it, or nothing.

        Raises:
            ValueError: a row's number was used before.
        """
        if change.is_empty:
            return
        last = self._last_seq
        for row in change.rows_added:
            if row.seq <= last:
                raise ValueError(f"outbox number {row.seq} is not above {last}")
            last = row.seq
        self._last_seq = last
        self.log.append(change)
        self.history += change.transitions
        self._snapshots.update(change.snapshots)
        self._rows.update((row.seq, row) for row in change.rows_added)
        self._rows.update((row.seq, row) for row in change.rows_marked if row.seq in self._rows)
        for seq in change.rows_removed:
            self._rows.pop(seq, None)

    def load(self) -> Saved:
        """Where the last station stopped."""
        return Saved(dict(self._snapshots), tuple(self._rows[seq] for seq in sorted(self._rows)), self._last_seq)
