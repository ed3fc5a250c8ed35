"""Stand-ins for the system's own programs: they come first in PATH, keep what they were told, and say what they should.

    programs = SystemPrograms(tmp_path, monkeypatch)
    programs.add("systemctl", "echo Failed to reboot: Access denied >&2", "exit 1")
    ...
    programs.told("systemctl")          # [["--no-ask-password", "reboot"]]

Nothing that a test does can thus reach the machine that it runs on, with whatever rights.
"""

from pathlib import Path

import pytest


class SystemPrograms:
    """A folder of programs that take the place of the system's; it is all of PATH but for the basic tools."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder / "programs"
        self._folder.mkdir()
        monkeypatch.setenv("PATH", f"{self._folder}:/usr/bin:/bin")
        for name in ("systemctl", "busctl", "timedatectl", "reboot", "shutdown", "date", "hwclock"):
            self.add(name)

    def add(self, name: str, *lines: str) -> None:
        """Have `name` keep its arguments, and then do what the shell's `lines` say."""
        file = self._folder / name
        keep = f'for each in "$@"; do printf "%s\\037" "$each"; done >> {self._folder}/{name}.told'
        file.write_text("\n".join(["#!/bin/sh", keep, f"echo >> {self._folder}/{name}.told", *lines]) + "\n")
        file.chmod(0o755)

    def told(self, name: str) -> list[list[str]]:
        """The arguments of each call, in order."""
        try:
            text = (self._folder / f"{name}.told").read_text()
        except FileNotFoundError:
            return []
        return [line.split("\037")[:-1] for line in text.splitlines()]
