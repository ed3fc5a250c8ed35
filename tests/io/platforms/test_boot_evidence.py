"""What the machine shows of why it booted."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from everest_system.fsm.messages import BootReason
from everest_system.io.platforms.boot_evidence import told_reason, watchdog_has_reset


@pytest.mark.parametrize(
    ("statuses", "has_reset"),
    [
        ([], False),
        (["0\n"], False),
        (["32\n"], True),
        (["0x20\n"], True),
        (["33\n"], True),
        (["31\n"], False),
        (["0\n", "32\n"], True),
        (["a lot\n"], False),
        ([None], False),
        ([None, "32\n"], True),
        (["9" * 1000], False),
    ],
)
def test_watchdogs(statuses: list[str | None], has_reset: bool, tmp_path: Path) -> None:
    """One watchdog whose bootstatus has WDIOF_CARDRESET is enough; one without a bootstatus says nothing."""
    for number, status in enumerate(statuses):
        (tmp_path / f"watchdog{number}").mkdir()
        if status is not None:
            (tmp_path / f"watchdog{number}" / "bootstatus").write_text(status)
    assert watchdog_has_reset(tmp_path) is has_reset


def test_no_watchdogs(tmp_path: Path) -> None:
    """A machine without any has no folder for them."""
    assert watchdog_has_reset(tmp_path / "watchdog") is False


@pytest.mark.parametrize("word", list(BootReason))
def test_told(word: BootReason, tmp_path: Path) -> None:
    """Each of EVerest's words is taken, with or without the end of its line."""
    file = tmp_path / "reason"
    for text in (str(word), f"{word}\n"):
        file.write_text(text)
        assert told_reason(file) is word


def test_not_told(tmp_path: Path) -> None:
    """No file is no word, and no warning."""
    with capture_logs() as lines:
        assert told_reason(tmp_path / "reason") is None
    assert lines == []


@pytest.mark.parametrize("content", [b"", b"powerup\n", b"PowerUp Watchdog\n", b"\xff\n", b"PowerUp" * 100])
def test_no_such_word(content: bytes, tmp_path: Path) -> None:
    """Anything else is no word, and the log says which there are."""
    file = tmp_path / "reason"
    file.write_bytes(content)
    with capture_logs() as lines:
        assert told_reason(file) is None
    assert ["Watchdog" in line["allowed"] for line in lines] == [True]


def test_unreadable(tmp_path: Path) -> None:
    """A file that cannot be read is no word, and the log says why."""
    with capture_logs() as lines:
        assert told_reason(tmp_path) is None
    assert "Is a directory" in lines[0]["event"]
