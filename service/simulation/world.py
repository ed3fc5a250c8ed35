"""What is outside the service and outlives it: its files, the slots, the servers."""

from dataclasses import dataclass, field
from typing import Literal

from everest_system.simulation.behaviour import Answer, WorldBehaviour
from everest_system.simulation.clock import FakeClock

TORN = "torn"
FileKey = tuple[str, Literal["artifact", "spool"], int]  # module id, folder, job


@dataclass(slots=True)
class FakeSlots:
    """One module's two slots.

    Attributes:
        content: the firmware in each; `torn` while it is being written, and when that was cut short.
        current: the one that the next boot, or start of EVerest, is to come up with.
        running: the one that it came up with.
        log: what was written, swapped and started, in order: elapsed, verb, slot.
    """

    content: dict[str, str] = field(default_factory=lambda: {"a": "factory", "b": ""})
    current: str = "a"
    running: str = "a"
    log: list[tuple[int, str, str]] = field(default_factory=list)

    @property
    def other(self) -> str:
        """The slot to install to."""
        return "b" if self.current == "a" else "a"


class World:
    """Everything that a crash of the service leaves alone.

    Attributes:
        behaviour: how it behaves from now on.
        files: the bytes in each artifact and archive of the service's.
        uploaded: what the log server has, in order: module id, file name.
    """

    def __init__(self, behaviour: WorldBehaviour, clock: FakeClock) -> None:
        self.behaviour = behaviour
        self.files: dict[FileKey, int] = {}
        self.uploaded: list[tuple[str, str]] = []
        self._clock = clock
        self._slots: dict[str, FakeSlots] = {}
        self._met = {"download": 0, "upload": 0}

    def slots(self, module_id: str) -> FakeSlots:
        """A module's slots."""
        return self._slots.setdefault(module_id, FakeSlots())

    def change(self, given: WorldBehaviour) -> None:
        """Behave as `given` says in the keys that it names; a list of answers begins at its front."""
        self.behaviour = self.behaviour.changed(given)
        for name in given.model_fields_set & self._met.keys():
            self._met[name] = 0

    def answer(self, what: Literal["download", "upload"]) -> Answer:
        """What the next attempt meets."""
        answers = self.behaviour.download if what == "download" else self.behaviour.upload
        answer = answers[min(self._met[what], len(answers) - 1)]
        self._met[what] += 1
        return answer

    def write_slot(self, module_id: str, slot: str, firmware: str) -> None:
        """Put `firmware`, or the first bytes of it (`torn`), into a slot."""
        slots = self.slots(module_id)
        slots.content[slot] = firmware
        self._note(slots, "torn" if firmware == TORN else "written", slot)

    def swap(self, module_id: str, slot: str) -> None:
        """Make a slot the one to come up with."""
        slots = self.slots(module_id)
        if slots.current != slot:
            slots.current = slot
            self._note(slots, "current", slot)

    def come_up(self) -> None:
        """A boot, or a start of EVerest: what is current runs, unless the boot loader turns it back."""
        for slots in self._slots.values():
            if self.behaviour.boots_into == "old":
                slots.current = slots.running
            if slots.running != slots.current:
                slots.running = slots.current
                self._note(slots, "running", slots.running)

    def tidy(self, module_id: str, *, update: int | None, upload: int | None) -> None:
        """Remove files of all jobs but these, as a start of the service does."""
        keep = {"artifact": update, "spool": upload}
        for key in [key for key in self.files if key[0] == module_id and key[2] != keep[key[1]]]:
            del self.files[key]

    def _note(self, slots: FakeSlots, verb: str, slot: str) -> None:
        slots.log.append((self._clock.elapsed, verb, slot))
