"""What is drawn: the machines as their own modules state them, with what a drawing needs besides.

States, words and ends come from `fsm/`, never from here. A drawing adds the good path, which is laid out as a straight
line, and for a few states what their word depends on, which no table holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from everest_system.fsm.firmware import states as firmware_states
from everest_system.fsm.firmware import table as firmware_table
from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.logs import states as logs_states
from everest_system.fsm.logs import table as logs_table
from everest_system.fsm.logs.snapshot import LogsSnapshot
from everest_system.fsm.platform import table as platform_table
from everest_system.fsm.platform.snapshot import PlatformSnapshot
from everest_system.fsm.presence import table as presence_table
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.fsm.table import StateRows

F, L = firmware_states.FirmwareState, logs_states.LogsState


@dataclass(frozen=True, slots=True)
class Machine:
    """One machine to draw.

    Attributes:
        name: its name in the history and on the command line.
        title: what it is about, for people.
        table: its transition table.
        initial: the state of a station that has never run.
        status: the word that each state publishes; states that publish none are absent or None.
        ends: the states in which a request has ended.
        good_path: states in the order in which they follow each other when all goes well.
        remarks: where a state's word is not the whole truth, what is said instead.
    """

    name: str
    title: str
    table: Mapping[Any, StateRows]
    initial: StrEnum
    status: Mapping[Any, StrEnum | None] = field(default_factory=dict)
    ends: frozenset[Any] = frozenset()
    good_path: tuple[StrEnum, ...] = ()
    remarks: Mapping[Any, str] = field(default_factory=dict)

    def word(self, state: str) -> str | None:
        """What is published on entering `state`, None if nothing is, or if the machine has no such state."""
        word = self.remarks.get(state) or self.status.get(state)
        return str(word) if word else None


_MACHINES = (
    Machine(
        name="firmware",
        title="Firmware update",
        table=firmware_table.TABLE,
        initial=FirmwareSnapshot().state,
        status=firmware_states.STATUS,
        ends=firmware_states.ENDS,
        good_path=(
            F.IDLE, F.ACCEPTED, F.DOWNLOAD_SCHEDULED, F.DOWNLOADING, F.DOWNLOADED, F.SIGNATURE_VERIFIED,
            F.INSTALL_SCHEDULED, F.AWAITING_PERMISSION, F.INSTALLING, F.REBOOTING, F.CONFIRMING, F.INSTALLED,
        ),
        remarks={
            F.DOWNLOAD_RETRY_SCHEDULED: "DownloadFailed, if each is reported",
            F.CANCELED: "DownloadFailed or InstallationFailed",
        },
    ),
    Machine(
        name="logs",
        title="Log upload",
        table=logs_table.TABLE,
        initial=LogsSnapshot().state,
        status=logs_states.STATUS,
        ends=logs_states.ENDS,
        good_path=(L.IDLE, L.ACCEPTED, L.COLLECTING, L.UPLOADING, L.UPLOADED),
        remarks={
            L.UPLOAD_RETRY_SCHEDULED: "UploadFailure, if each is reported",
            L.CANCELED: "AcceptedCanceled, OCPP 1.6: UploadFailure",
        },
    ),
    Machine(
        name="platform",
        title="Resets",
        table=platform_table.TABLE,
        initial=PlatformSnapshot().state,
    ),
    Machine(
        name="presence",
        title="Is EVerest listening?",
        table=presence_table.TABLE,
        initial=PresenceSnapshot().state,
    ),
)  # fmt: skip

MACHINES: Mapping[str, Machine] = {machine.name: machine for machine in _MACHINES}
"""What can be drawn, by name."""


def machine_named(name: str) -> Machine:
    """The machine called `name`.

    Raises:
        ValueError: there is none.
    """
    if name not in MACHINES:
        raise ValueError(f"there is no machine {name}, only {', '.join(MACHINES)}")
    return MACHINES[name]
