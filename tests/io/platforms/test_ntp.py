"""Whether NTP keeps the clock."""

import builtins
import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.system_programs import SystemPrograms

from everest_system.io.platforms import ntp
from everest_system.io.platforms.ntp import is_synchronized, kernels_error_us, timedateds_word


@pytest.mark.parametrize(("error_us", "kept"), [(0, True), (15_999_999, True), (16_000_000, False), (2**31, False)])
def test_what_the_kernel_says(error_us: int, kept: bool) -> None:
    """The error that the kernel knows of decides, and nobody else is asked."""

    def asked() -> bool:
        raise AssertionError

    assert is_synchronized(lambda: error_us, asked) is kept


@pytest.mark.parametrize("kept", [True, False])
def test_where_the_kernel_does_not_say(kept: bool) -> None:
    """The word of timedated counts then."""
    assert is_synchronized(lambda: None, lambda: kept) is kept


class FakeLibrary:
    """A C library in which `adjtimex` fails."""

    def __init__(self, _name: object) -> None:
        pass

    @staticmethod
    def adjtimex(_state: object) -> int:
        """Not in here."""
        return -1


def test_a_sandbox_that_protects_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is not allowed is no answer."""
    monkeypatch.setattr(ctypes, "CDLL", FakeLibrary)
    assert kernels_error_us() is None


def test_a_sandbox_without_executable_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Python's way to the C library is shut there is no answer either."""
    real = builtins.__import__

    def shut(name: str, *rest: Any) -> Any:
        if name == "ctypes":
            raise MemoryError
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", shut)
    assert kernels_error_us() is None


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (["echo b true"], True),
        (["echo b false"], False),
        (["echo b true", "exit 1"], False),
        (["echo 'Failed to get property: Access denied' >&2", "exit 1"], False),
        (["echo b true", "echo b true"], False),
        (["exec sleep 60"], False),
    ],
)
def test_what_timedated_says(lines: list[str], kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a plain yes, in time, is one."""
    programs = SystemPrograms(tmp_path, monkeypatch)
    programs.add("busctl", *lines)
    monkeypatch.setattr(ntp, "ANSWER_TIMEOUT_S", 0.3 if "sleep" in lines[0] else 10)
    assert timedateds_word() is kept
    name = "org.freedesktop.timedate1"
    assert programs.told("busctl") == [
        ["--system", "get-property", name, "/org/freedesktop/timedate1", name, "NTPSynchronized"]
    ]


def test_no_timedated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without systemd has nobody who could say so."""
    monkeypatch.setenv("PATH", "/nowhere")
    assert timedateds_word() is False


def test_this_machine() -> None:
    """The real call is understood: systemd's own program says the same, where systemd runs."""
    error_us = kernels_error_us()
    assert error_us is None or error_us >= 0
    if Path("/run/systemd/system").exists() and shutil.which("timedatectl"):
        argv = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
        if said.returncode == 0:
            assert said.stdout.strip() == ("yes" if is_synchronized() else "no")
