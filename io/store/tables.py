"""The records in the tables of `state.db`: how they are read and written, inside a transaction of the caller's.

Every statement names its columns: a table may have more of them than this version knows.
"""

import sqlite3
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any

from everest_system.fsm.machine import Status
from everest_system.fsm.outbox import OutboxRow
from everest_system.io.store.records import Change, Saved, Transition

HISTORY_LENGTH = 10_000
"""Transitions kept, of all modules and machines together; the oldest go first."""

_DETAIL_LENGTH = 500


def read(db: sqlite3.Connection) -> Saved:
    """Read the snapshots and the outbox.

    Raises:
        sqlite3.Error: they cannot be read.
    """
    return Saved(_snapshots(db), _rows(db), highest_seq(db))


def read_whole(db: sqlite3.Connection) -> Change:
    """Read the snapshots and the outbox from a file of which nothing else may be whole, to write them into another.

    Raises:
        sqlite3.Error: they cannot be read.
    """
    return Change(_snapshots(db), _rows(db))


def read_history(db: sqlite3.Connection, limit: int, module_id: str | None) -> list[Transition]:
    """Read the newest `limit` transitions, of one module if it is named, oldest of them first.

    One that makes no sense, as by a bit that flipped in it, is left out.

    Raises:
        sqlite3.Error: they cannot be read.
    """
    found = db.execute(
        "SELECT at, module_id, machine, job, request_id, source, target, event, detail FROM history"
        " WHERE :module_id IS NULL OR module_id = :module_id ORDER BY seq DESC LIMIT max(:limit, 0)",
        {"module_id": module_id, "limit": limit},
    ).fetchall()
    return [transition for row in reversed(found) if (transition := _transition(*row)) is not None]


def highest_seq(db: sqlite3.Connection) -> int:
    """The highest number that an outbox row of this file ever had, 0 if there was none.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    # SQLite's own note is one number, and no check of pages finds a bit that flipped in it: the rows have a say, too.
    found = db.execute(
        "SELECT ifnull(max(seq), 0) FROM outbox"
        " UNION ALL SELECT ifnull(CAST(seq AS INTEGER), 0) FROM sqlite_sequence WHERE name = 'outbox'"
    )
    return int(max(number for (number,) in found))


def write(db: sqlite3.Connection, change: Change) -> None:
    """Write `change`.

    Raises:
        ValueError: the time of a transition has no zone.
        sqlite3.Error: it cannot be written.
    """
    transitions = [_history_row(transition) for transition in change.transitions]
    db.executemany(
        "INSERT INTO snapshots (module_id, machine, json) VALUES (?, ?, ?)"
        " ON CONFLICT (module_id, machine) DO UPDATE SET json = excluded.json",
        [(module_id, machine, text) for (module_id, machine), text in change.snapshots.items()],
    )
    db.executemany(
        "INSERT INTO outbox (seq, module_id, machine, job, request_id, run, word, is_end, predecessor,"
        " disable_connectors, early, sent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [(row.seq, row.module_id, *astuple(row.status), row.early, row.sent) for row in change.rows_added],
    )
    db.executemany(
        "UPDATE outbox SET early = ?, sent = ? WHERE seq = ?",
        [(row.early, row.sent, row.seq) for row in change.rows_marked],
    )
    db.executemany("DELETE FROM outbox WHERE seq = ?", [(seq,) for seq in change.rows_removed])
    if transitions:
        db.executemany(
            "INSERT INTO history (at, module_id, machine, job, request_id, source, target, event, detail)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            transitions,
        )
        db.execute("DELETE FROM history WHERE seq <= (SELECT max(seq) FROM history) - ?", (HISTORY_LENGTH,))


def _snapshots(db: sqlite3.Connection) -> dict[tuple[str, str], str]:
    found = db.execute("SELECT module_id, machine, json FROM snapshots")
    return {(module_id, machine): text for module_id, machine, text in found}


def _rows(db: sqlite3.Connection) -> tuple[OutboxRow, ...]:
    return tuple(
        OutboxRow(
            seq,
            module_id,
            Status(
                machine, job, request_id, run, word, bool(is_end), predecessor, None if says is None else bool(says)
            ),
            early=bool(early),
            sent=bool(sent),
        )
        for seq, module_id, machine, job, request_id, run, word, is_end, predecessor, says, early, sent in db.execute(
            "SELECT seq, module_id, machine, job, request_id, run, word, is_end, predecessor, disable_connectors,"
            " early, sent FROM outbox ORDER BY seq"
        )
    )


def _transition(*row: Any) -> Transition | None:
    at, module_id, machine, job, request_id, *words = row
    are_texts = all(isinstance(text, str) for text in (at, module_id, machine, *words))
    if not are_texts or not all(isinstance(number, int | None) for number in (job, request_id)):
        return None
    try:
        moment = datetime.fromisoformat(at)
    except ValueError:
        return None
    return Transition(moment, module_id, machine, job, request_id, *words) if moment.tzinfo is not None else None


def _history_row(transition: Transition) -> tuple[str | int | None, ...]:
    at, *facts, detail = astuple(transition)
    if at.tzinfo is None:
        raise ValueError("the time of a transition needs a zone")
    # Half of a surrogate pair may come in with a peer's words, and has no place in UTF-8.
    shown = detail[:_DETAIL_LENGTH].encode("utf-8", "backslashreplace").decode()
    return (at.astimezone(UTC).isoformat(), *facts, shown)
