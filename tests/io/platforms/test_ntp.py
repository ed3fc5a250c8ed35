"""Whether NTP keeps the clock."""

import shutil
import subprocess
from pathlib import Path

import pytest

from everest_system.io.platforms.ntp import Timex, is_synchronized


@pytest.mark.parametrize(
    ("state", "error_us", "kept"),
    [(0, 0, True), (5, 15_999_999, True), (0, 16_000_000, False), (5, 16_000_000, False), (-1, 0, False)],
)
def test_what_the_kernel_says(state: int, error_us: int, kept: bool) -> None:
    """The error that the kernel knows of decides, not its state; where it says nothing, nobody keeps the clock."""

    def adjtimex(timex: Timex) -> int:
        assert timex.modes == 0, "it is only asked"
        timex.maxerror = error_us
        return state

    assert is_synchronized(adjtimex) is kept


def test_this_machine() -> None:
    """The real call is understood: systemd's own program says the same, where systemd runs."""
    kept = is_synchronized()
    assert kept in {True, False}
    if Path("/run/systemd/system").exists() and shutil.which("timedatectl"):
        argv = ["timedatectl", "show", "--property=NTPSynchronized", "--value"]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
        if said.returncode == 0:
            assert said.stdout.strip() == ("yes" if kept else "no")
