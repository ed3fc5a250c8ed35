"""The integrator's own platform programs, run for real."""

import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from everest_system.fsm.errors import CanceledError
from everest_system.io.platforms import command
from everest_system.io.platforms.command import CommandPlatform, read_boot_id
from everest_system.io.platforms.port import Platform, PlatformError, Reboot

NEVER = threading.Event()
NOW = datetime(2026, 11, 22, 8, 48, 40, 123456, timezone(timedelta(hours=1)))


def platform(
    *,
    reboot: list[str] | None = None,
    restart: list[str] | None = None,
    set_time: list[str] | None = None,
    timeout_s: float = 10,
) -> Platform:
    return CommandPlatform(
        reboot=reboot or [],
        restart=restart or [],
        set_time=set_time or [],
        boot_id_file=Path("/nowhere"),
        timeout_s=timeout_s,
    )


def test_reboot_is_the_hosts(tmp_path: Path) -> None:
    """The reboot program runs, and the host is the one that goes down."""
    subject = platform(reboot=["touch", str(tmp_path / "rebooted")])
    assert subject.reboot(canceled=NEVER) is Reboot.BY_HOST
    assert (tmp_path / "rebooted").exists()


def test_restart(tmp_path: Path) -> None:
    """The restart program runs."""
    platform(restart=["touch", str(tmp_path / "restarted")]).restart(canceled=NEVER)
    assert (tmp_path / "restarted").exists()


@pytest.mark.parametrize(
    ("extra", "expected"),
    [([], "2026-11-22T07:48:40.123Z"), (["--to={time}", "-v"], "--to=2026-11-22T07:48:40.123Z -v")],
)
def test_set_time(extra: list[str], expected: str, tmp_path: Path) -> None:
    """The program gets the time in UTC where it wants it, or last."""
    subject = platform(set_time=["/bin/sh", "-c", f'echo "$@" > {tmp_path}/time', "sh", *extra])
    assert subject.set_time(NOW, canceled=NEVER) is True
    assert (tmp_path / "time").read_text().strip() == expected


def test_no_clock_of_ours() -> None:
    """Without a program for it the time is not set, and that is no fault."""
    assert platform().set_time(datetime.now(UTC), canceled=NEVER) is False


@pytest.mark.parametrize("order", ["reboot", "restart"])
def test_no_program(order: str) -> None:
    """An order without a program names the key that is empty."""
    with pytest.raises(PlatformError, match=rf"^platform\.command\.{order} names no program"):
        getattr(platform(), order)(canceled=NEVER)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["/bin/sh", "-c", "exit 3"], r"/bin/sh failed \(exit code 3\)"),
        (["/bin/sh", "-c", "kill -KILL $$"], r"/bin/sh failed \(ended by signal 9\)"),
        (["/nowhere/program"], "/nowhere/program was not found"),
        (["/bin/sh", "-c", "sleep 60"], "/bin/sh did not end within"),
    ],
)
@pytest.mark.parametrize("order", ["reboot", "restart", "set_time"])
def test_programs_that_fail(order: str, argv: list[str], message: str) -> None:
    """Anything but exit code 0 in time is an error that names key and program."""
    timeout_s = 0.1 if "within" in message else 30.0
    programs = {"reboot": argv, "restart": argv, "set_time": argv}
    subject = CommandPlatform(**programs, boot_id_file=Path("/nowhere"), timeout_s=timeout_s)
    with pytest.raises(PlatformError, match=rf"^platform\.command\.{order}: {message}"):
        subject.set_time(NOW, canceled=NEVER) if order == "set_time" else getattr(subject, order)(canceled=NEVER)


def test_clock_has_less_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clock program that hangs is given up long before the others would be: EVerest waits for its answer."""
    monkeypatch.setattr(command, "SET_TIME_TIMEOUT_S", 0.1)
    with pytest.raises(PlatformError, match=r"did not end within 0\.1 s"):
        platform(set_time=["/bin/sh", "-c", "sleep 60"]).set_time(NOW, canceled=NEVER)


def test_cancel() -> None:
    """A canceled order is not given."""
    canceled = threading.Event()
    canceled.set()
    with pytest.raises(CanceledError):
        platform(reboot=["/bin/true"]).reboot(canceled=canceled)


def test_boot_id_of_this_machine() -> None:
    """The kernel's boot id is read as it stands."""
    file = Path("/proc/sys/kernel/random/boot_id")
    subject = CommandPlatform(reboot=[], restart=[], set_time=[], boot_id_file=file)
    assert subject.boot_id() == file.read_text().strip()


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"one two\n", b"x" * 129, b"one\ntwo", b"\xff\xfe", b"id\0", b"x" * 100_000]
)
def test_what_is_no_boot_id(content: bytes, tmp_path: Path) -> None:
    """A boot id file with anything but one word is refused by name."""
    (tmp_path / "boot_id").write_bytes(content)
    with pytest.raises(PlatformError, match="boot_id holds no boot id"):
        read_boot_id(tmp_path / "boot_id")


def test_longest_boot_id(tmp_path: Path) -> None:
    """A boot id may have 128 characters, and a newline after it."""
    (tmp_path / "boot_id").write_text("x" * 128 + "\n")
    assert read_boot_id(tmp_path / "boot_id") == "x" * 128


def test_no_boot_id(tmp_path: Path) -> None:
    """A boot id file that cannot be read is an error that names key and file."""
    with pytest.raises(PlatformError, match=r"^platform\.boot_id_file .*/missing cannot be read: No such file"):
        read_boot_id(tmp_path / "missing")
