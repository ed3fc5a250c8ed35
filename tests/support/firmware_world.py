"""The world around a firmware machine: at each moment, all that it can really bring.

A walk takes one of `World.moves()` after the other, as chance will have it. Work answers its last order once, unless
it was stopped; timers that are set may fire; EVerest, the operator and the power do as they like; statuses go out in
order and are heard later. `WHOLE` says what may have been published by then, a letter a word (see `LETTERS`).
"""

import re
from collections.abc import Callable
from typing import Any

from support.firmware_driver import ARTIFACT, FirmwareDriver, S

from everest_system.fsm.artifact import Part
from everest_system.fsm.events import EverestRestarted, StatusDelivered, StatusSending, WorkEvent
from everest_system.fsm.firmware import events as facts
from everest_system.fsm.firmware.states import ENDS
from everest_system.fsm.orders import (
    ActivateByReboot,
    ActivateByRestart,
    CheckArtifact,
    ConfirmInstall,
    RollBack,
    StartDownload,
    StartInstall,
    StopWork,
    WorkOrder,
)

LETTERS = {
    "DownloadScheduled": "s",
    "Downloading": "d",
    "DownloadPaused": "p",
    "DownloadFailed": "f",
    "Downloaded": "D",
    "SignatureVerified": "v",
    "InvalidSignature": "V",
    "InstallScheduled": "t",
    "Installing": "i",
    "InstallRebooting": "b",
    "Installed": "I",
    "InstallVerificationFailed": "X",
    "InstallationFailed": "F",
}
_LOAD = "s?(d(fp?|p)?)*"
_INSTALL = "i(X|F|I|b(I|F))"
# What is said of an update as a whole, by whether it is signed and has an id.
WHOLE = {
    (True, True): re.compile(f"{_LOAD}(f|D(V|F|v(t?v)*t?(F|{_INSTALL})))"),
    (False, True): re.compile(f"{_LOAD}(f|D(V|(t?D)*t?(F|{_INSTALL})))"),
    (False, False): re.compile(f"{_LOAD}(f|D(D*tD*|D*)(F|i(F|I|b(I|F))))"),
}

Answers = tuple[tuple[type[WorkEvent], tuple[Any, ...]], ...]
ANSWERS: dict[type[WorkOrder], Answers] = {
    StartDownload: (
        (facts.DownloadFinished, (ARTIFACT,)),
        (facts.DownloadInterrupted, ("broken",)),
        (facts.DownloadAttemptFailed, ("failed", 5)),
        (facts.DownloadRefused, ("refused",)),
    ),
    CheckArtifact: (
        (facts.SignatureVerified, ("slot-b",)),
        (facts.SignatureInvalid, ("bad",)),
        (facts.ArtifactUnfit, ("unfit",)),
        (facts.InstallFailed, ("failed",)),
    ),
    StartInstall: (
        (facts.InstallFinished, ("reboot",)),
        (facts.InstallFinished, ("restart",)),
        (facts.InstallFinished, ("none",)),
        (facts.ArtifactUnfit, ("unfit",)),
        (facts.InstallFailed, ("failed",)),
    ),
    ActivateByReboot: ((facts.RebootFailed, ("failed",)),),
    ActivateByRestart: ((facts.RebootFailed, ("failed",)), (facts.Booted, ())),
    ConfirmInstall: (
        (facts.Confirmed, ()),
        (facts.OldFirmwareFound, ("old",)),
        (facts.FirmwareUnhealthy, ("ill",)),
    ),
    RollBack: (
        (facts.RolledBack, ("reboot",)),
        (facts.RolledBack, ("none",)),
        (facts.RollBackFailed, ("failed",)),
    ),
}
WORKING = {S.DOWNLOADING, S.DOWNLOADED, S.INSTALLING, S.CONFIRMING, S.ROLLING_BACK}
REQUESTS = (
    {"request_id": 7, "signed": True, "retries": 2},
    {"request_id": 7, "signed": True, "install_in": 50},
    {"request_id": 7, "signed": False, "retrieve_in": 50},
    {"request_id": -1, "signed": False, "retries": 2},
    {"request_id": -1, "signed": False, "install_in": 50},
)


class World:
    """A firmware machine, and what is under way around it.

    Attributes:
        update: the machine.
        work: the order that is being carried out, if one is.
    """

    def __init__(self, update: FirmwareDriver) -> None:
        self.update = update
        self.work: WorkOrder | None = None
        if update.state in WORKING:
            self.work = [order for order in update.orders if isinstance(order, WorkOrder)][-1]
        self._sent = self._heard = 0
        self._seen = len(update.orders)

    def moves(self) -> list[Callable[[], Any]]:
        """All that may come next."""
        update = self.update
        machine = update.machine
        moves: list[Callable[[], Any]] = []
        if self.work is not None:
            moves += [lambda one=one: self._answer(*one) for one in self._answers(self.work)]
            if isinstance(self.work, StartDownload):
                grown = Part(length=update.snapshot.part.length + (700 << 10))
                moves.append(lambda: update.report(facts.PartKept, grown))
            if isinstance(self.work, ActivateByReboot):
                moves.append(lambda: self._restart(boot=True))
        for name in sorted(update.snapshot.timers):
            moves.append(lambda name=name: update.fire(type(machine.timer_event(name))))
        if self._sent < len(update.statuses):
            moves.append(self._send)
        if self._heard < self._sent:
            moves.append(self._hear)
        moves += [lambda event=event: update.take(event) for event in (facts.PermissionGiven(), EverestRestarted())]
        moves += [lambda event=event: update.take(event) for event in (facts.PauseRequested(), facts.ResumeRequested())]
        moves += [lambda boot=boot: self._restart(boot=boot) for boot in (False, True)]
        moves += [lambda fields=fields: update.request(**fields) for fields in REQUESTS]
        return moves

    def move(self, choice: int) -> None:
        """Let one of the moves happen, and note what it has begun."""
        moves = self.moves()
        moves[choice % len(moves)]()
        self._look()

    def is_stuck(self) -> bool:
        """Whether nothing is under way that could lead on: no work, no timer, nobody outside who will speak."""
        update = self.update
        waits_outside = update.snapshot.held or update.state in {"IDLE", "AWAITING_PERMISSION"}
        return self.work is None and not update.snapshot.timers and not waits_outside and update.state not in ENDS

    def _look(self) -> None:
        for order in self.update.orders[self._seen :]:
            if isinstance(order, StopWork):
                self.work = None
            elif isinstance(order, WorkOrder):
                assert self.work is None, f"{order} would run beside {self.work}"
                self.work = order
        self._seen = len(self.update.orders)

    def _answers(self, order: WorkOrder) -> Answers:
        answers = ANSWERS[type(order)]
        if isinstance(order, CheckArtifact) and not self.update.machine.is_signed():
            return ((facts.NothingToVerify, ("slot-b",)), *answers[1:])
        return answers

    def _answer(self, kind: type[WorkEvent], about: tuple[Any, ...]) -> None:
        assert self.work is not None
        work, self.work = self.work.work, None
        self.update.take(kind(work, *about))

    def _restart(self, *, boot: bool) -> None:
        self.work = None
        self.update.restart(boot=boot)

    def _send(self) -> None:
        status = self.update.statuses[self._sent]
        self._sent += 1
        self.update.take(StatusSending(status.job, status.word))

    def _hear(self) -> None:
        status = self.update.statuses[self._heard]
        self._heard += 1
        self.update.take(StatusDelivered(status.job, status.word))
