"""The `command` installer: a program of the integrator's installs the firmware.

The program finds the facts of the update in its arguments (`{artifact}`, `{location}`, `{request_id}`; without
`{artifact}` the file's path comes last) and in its environment (`EVEREST_SYSTEM_ARTIFACT`, `_LOCATION`, `_REQUEST_ID`,
`_MODULE_ID`). What it says decides in this order:

- Death by a signal, or a time-out, is a failed installation, whatever was said before.
- A line that is one of the firmware status words that ends an installation; the last one holds, over the exit code.
  `InstallRebooting` ends it too: the firmware is in place. The other words (`Installing`) say nothing. A program that
  verifies late and says `InvalidSignature` has refused the firmware: after Installing the word for that is
  InstallVerificationFailed.
- The exit code: 0 installed, 10 the firmware failed a check, anything else a failed installation.

A line like `42%` or `progress 42` is taken as progress.

This installer knows of no slots: its target is "", it takes the new firmware for the active one after the boot (the
health check may know better), and it has no way back.
"""

import re
from collections.abc import Sequence
from threading import Event
from typing import Final

import structlog

from everest_system.fsm.messages import FirmwareUpdateStatusEnum as Word
from everest_system.io.installers.port import Activation, Facts, InstallError, OnProgress, UnfitError
from everest_system.io.program import ProgramError, fill, run

EXIT_UNFIT: Final = 10
"""The exit code of a program that found the firmware unfit."""

_INSTALLED: Final = frozenset({Word.INSTALLED, Word.INSTALL_REBOOTING})
_UNFIT: Final = frozenset({Word.INSTALL_VERIFICATION_FAILED, Word.INVALID_SIGNATURE})
_FAILED: Final = frozenset({Word.INSTALLATION_FAILED, Word.DOWNLOAD_FAILED})
_VERDICTS: Final = _INSTALLED | _UNFIT | _FAILED
_PROGRESS: Final = re.compile(r"(?:progress[:\s]\s*)?(\d{1,3})\s*%|progress[:\s]\s*(\d{1,3})", re.ASCII | re.IGNORECASE)

_NEVER: Final = Event()

_log = structlog.get_logger(__name__)


class CommandInstaller:
    """Runs `install`, for at most `timeout_s` seconds (0: as long as it takes).

    Args:
        install: the program and its arguments.
        timeout_s: see above.
        activation: what makes active what the program installed.
        repeatable: whether the program may be run again after a crash in the middle of it.
    """

    verifies_signatures = False

    def __init__(self, install: Sequence[str], timeout_s: float, activation: Activation, *, repeatable: bool) -> None:
        self._install, self._timeout_s = tuple(install), timeout_s
        self._activation, self._repeatable = activation, repeatable

    def check(self, facts: Facts, *, canceled: Event = _NEVER) -> str:  # noqa: ARG002 - the port's signature
        """The program checks while it installs, so there is nothing to look at and nothing to choose."""
        return ""

    def install(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:  # noqa: ARG002
        """Run the program.

        Raises:
            UnfitError: it says so, or exits with 10.
            InstallError: it could not be run, or failed in any other way.
            CanceledError: `canceled` was set, and the program with all its children is gone.
        """
        if not self._install:
            raise InstallError("firmware.command.install names no program")
        values = {
            "artifact": str(facts.artifact),
            "location": facts.location,
            "request_id": str(facts.request_id),
        }
        verdict: Word | None = None

        def listen(line: str) -> None:
            nonlocal verdict
            if line in _VERDICTS:
                verdict = Word(line)
            elif (said := _PROGRESS.fullmatch(line)) and (percent := int(said[1] or said[2])) <= 100:
                on_progress(percent)

        try:
            code = run(
                fill(self._install, values, last="artifact"),
                timeout_s=self._timeout_s,
                canceled=canceled,
                facts={
                    "EVEREST_SYSTEM_ARTIFACT": values["artifact"],
                    "EVEREST_SYSTEM_LOCATION": values["location"],
                    "EVEREST_SYSTEM_REQUEST_ID": values["request_id"],
                    "EVEREST_SYSTEM_MODULE_ID": facts.module_id,
                },
                on_line=listen,
            )
        except ProgramError as error:
            raise InstallError(str(error)) from error
        self._judge(verdict, code)

    def resume(self, facts: Facts, target: str, *, canceled: Event, on_progress: OnProgress) -> None:
        """Run the program again, if it bears that.

        Raises:
            InstallError: it is not declared repeatable, or as for `install`.
            UnfitError, CanceledError: as for `install`.
        """
        if not self._repeatable:
            raise InstallError(f"{self._program} was interrupted, and firmware.command.repeatable is false")
        self.install(facts, target, canceled=canceled, on_progress=on_progress)

    def activate(self, facts: Facts, target: str) -> Activation:  # noqa: ARG002 - the port's signature
        """Return the configured activation; the program has prepared everything else."""
        return self._activation

    def confirm(self, target: str) -> bool:  # noqa: ARG002 - the port's signature
        """Take the program's word for it."""
        return True

    def mark_good(self, target: str) -> None:
        """Do nothing: what the program has to be told, a health check of the integrator's can tell it."""

    def roll_back(self, target: str) -> Activation:  # noqa: ARG002 - the port's signature
        """Refuse: only the integrator's program could know the way back.

        Raises:
            InstallError: always.
        """
        raise InstallError(f"{self._program} has no way back to the firmware before")

    @property
    def _program(self) -> str:
        return self._install[0] if self._install else "firmware.command.install"

    def _judge(self, verdict: Word | None, code: int) -> None:
        if code < 0:
            raise InstallError(f"{self._program} was ended by signal {-code}")
        if verdict is not None:
            _log.info("installer's last word", program=self._program, word=verdict.value, exit_code=code)
            said = f"{self._program} said {verdict}"
            if verdict in _UNFIT:
                raise UnfitError(said)
            if verdict in _FAILED:
                raise InstallError(said)
            return
        if code == EXIT_UNFIT:
            raise UnfitError(f"{self._program} found the firmware unfit (exit code {code})")
        if code != 0:
            raise InstallError(f"{self._program} failed (exit code {code})")
