"""One EVerest module's part of the station: its machines, its outbox, its topics."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from everest_system.fsm.errors import WorldError
from everest_system.fsm.firmware.machine import FirmwareMachine
from everest_system.fsm.firmware.rules import FirmwareRules
from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.firmware.states import UNINTERRUPTIBLE
from everest_system.fsm.logs.machine import LogsMachine, LogsRules
from everest_system.fsm.logs.snapshot import LogsSnapshot
from everest_system.fsm.machine import SnapshotT, TableMachine
from everest_system.fsm.outbox import Outbox
from everest_system.fsm.presence.machine import PresenceMachine, PresenceRules
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.io.mqtt.topics import Topics

Key = tuple[str, str]  # module id and machine name, as the store has them
REPLIES_REMEMBERED = 256


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says to the machines."""

    firmware: FirmwareRules
    logs: LogsRules
    presence: PresenceRules


@dataclass(slots=True)
class Module:
    """What belongs to one module id.

    Attributes:
        replies: those given last, by command and topic; None while one is being worked out.
        last_sent: when its last status went out, in seconds of the monotonic clock.
    """

    topics: Topics
    firmware: FirmwareMachine
    logs: LogsMachine
    presence: PresenceMachine
    outbox: Outbox
    replies: OrderedDict[tuple[str, str], bytes | None] = field(default_factory=OrderedDict)
    last_sent: float = float("-inf")

    @classmethod
    def load(cls, topics: Topics, rules: Rules, snapshots: Mapping[Key, str]) -> "Module":
        """The module as the store has it.

        Raises:
            WorldError: a snapshot cannot be read.
        """
        firmware = snapshot(FirmwareSnapshot, snapshots, (topics.module_id, "firmware"))
        logs = snapshot(LogsSnapshot, snapshots, (topics.module_id, "logs"))
        presence = snapshot(PresenceSnapshot, snapshots, (topics.module_id, "presence"))
        return cls(
            topics,
            FirmwareMachine(firmware, rules.firmware),
            LogsMachine(logs, rules.logs),
            PresenceMachine(presence, rules.presence),
            Outbox(),
        )

    @property
    def module_id(self) -> str:
        """EVerest's name for it."""
        return self.topics.module_id

    @property
    def machines(self) -> tuple[TableMachine[Any], ...]:
        """Those that are stored, and recovered after a start, in this order."""
        return (self.presence, self.firmware, self.logs)

    @property
    def is_busy(self) -> bool:
        """An update is in a part that must not be interrupted (B11.FR.06)."""
        return self.firmware.snapshot.state in UNINTERRUPTIBLE

    def remember_reply(self, command: str, reply_to: str, reply: bytes | None) -> None:
        """Keep a reply for a second delivery of its request."""
        self.replies[command, reply_to] = reply
        while len(self.replies) > REPLIES_REMEMBERED:
            self.replies.popitem(last=False)


def snapshot(kind: type[SnapshotT], snapshots: Mapping[Key, str], key: Key) -> SnapshotT:
    """The stored snapshot, or the first one where there is none."""
    text = snapshots.get(key)
    if text is None:
        return kind()
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        module_id, machine = key
        whose = f"{machine} of {module_id or 'the station'}"
        # Without the value: it may be an address with a password.
        fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(map(str, fault["loc"])) or "JSON"
        raise WorldError(f"the stored state of {whose} cannot be read: {where}: {fault['type']}") from None
