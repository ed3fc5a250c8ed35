"""How `journalctl` is asked for a window of the systemd journal: as text for people, in the export format for tools.

It looks for the window itself, both ends inclusive and in UTC, and prints times in UTC. In the text it says where the
machine was booted, and on standard error what it does not let us read (the group `systemd-journal` may).
"""

from datetime import UTC, datetime
from typing import NamedTuple

from everest_system.io.logs.sources import LogSource
from everest_system.io.logs.window import LogWindow

JOURNALCTL = "journalctl"
TIMEOUT_S = 600.0
"""Seconds for one way of writing it."""


class JournalForm(NamedTuple):
    """A way of writing the journal.

    Attributes:
        output: what journalctl calls it.
        member: its name in an archive.
        record: what a record begins with, after the line break of the one before.
        quiet: whether it keeps to the records.
    """

    output: str
    member: str
    record: bytes
    quiet: bool


FORMS = (
    JournalForm("short-iso-precise", "journal/journal.txt", b"\n", quiet=False),
    JournalForm("export", "journal/journal.export", b"\n\n__CURSOR=", quiet=True),
)


def journal_argv(source: LogSource, window: LogWindow, form: JournalForm) -> list[str]:
    """The program and its arguments."""
    argv = [JOURNALCTL, "--no-pager", "--utc", f"--output={form.output}"]
    if form.quiet:
        argv.append("--quiet")
    if window.oldest is not None:
        argv.append(f"--since={_utc(window.oldest)}")
    if window.latest is not None:
        argv.append(f"--until={_utc(window.latest)}")
    argv += [f"--unit={unit}" for unit in source.journal_units]
    if source.journal_priority:
        argv.append(f"--priority={source.journal_priority}")
    return argv


def _utc(time: datetime) -> str:
    """As systemd reads times; its calendar begins in 1970 and takes no year beyond 9999."""
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    try:
        return f"{max(time.astimezone(UTC), epoch):%Y-%m-%d %H:%M:%S.%f} UTC"
    except OverflowError:  # within a day of year 1 or 9999
        return f"{max(time.replace(tzinfo=UTC), epoch):%Y-%m-%d %H:%M:%S.%f} UTC"
