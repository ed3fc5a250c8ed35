"""Resets and boots: the guards and actions that their table names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everest_system.fsm.events import Settled
from everest_system.fsm.machine import TableMachine
from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.orders import RebootMachine, Reply, RestartEverest
from everest_system.fsm.platform.boot_reasons import BootFacts, Evidence, judge
from everest_system.fsm.platform.events import MachineBooted, ResetDue, ResetOverdue
from everest_system.fsm.platform.snapshot import BootWord, PlatformSnapshot, Told
from everest_system.fsm.platform.table import RECOVERY, TABLE

DELIVERY_TIMEOUT_S = 60  # a reset does not wait longer than this for an update's end status to be delivered
RESET_TIMEOUT_S = 300  # a reset that has not come by then will not: services may take long to stop
TRIES = 3


@dataclass(frozen=True, slots=True)
class PlatformRules:
    """The configured part of the platform.

    Attributes:
        reset_delay_s: between a reset's acceptance and the reset, in seconds, from 0 on.
    """

    reset_delay_s: float = 2.0


class PlatformMachine(TableMachine[PlatformSnapshot]):
    """The machine that `reset` and `get_boot_reason` drive."""

    name = "platform"
    table: Mapping[Any, Any] = TABLE
    recovery: Mapping[Any, str] = RECOVERY

    def __init__(
        self, snapshot: PlatformSnapshot, rules: PlatformRules | None = None, facts: BootFacts | None = None
    ) -> None:
        self._rules, self._facts = rules or PlatformRules(), facts or BootFacts()
        super().__init__(snapshot)

    # --- resets ---

    def is_busy(self) -> bool:
        """An update must not be interrupted now."""
        return bool(self.event.busy)

    def accept(self) -> None:
        """Begin a reset."""
        self.clear_timers()
        self.draft.job += 1
        self.draft.tries = 0
        self.draft.type, self.draft.reason = self.event.type, self.event.reason

    def goes_further(self) -> bool:
        """A machine has to boot; the reset that waits would only restart EVerest."""
        return self.draft.type is ResetType.SOFT and self.event.type is not ResetType.SOFT

    def go_further(self) -> None:
        """The more thorough of two resets does for both."""
        self.draft.type, self.draft.reason = self.event.type, self.event.reason

    def go_further_now(self) -> None:
        """The restart on its way is not enough: what is done for it ends, and the machine boots."""
        self.stop_work()
        self.go_further()
        self.draft.tries = 0

    def let_answer_out(self) -> None:
        """Whoever asked for the reset has an answer on its way, through what the reset takes down."""
        self.set_timer(Settled, self._rules.reset_delay_s)

    def wait_for_next_end(self) -> None:
        """An update came so far before the reset did: its end is what counts now."""
        self.clear_timers(ResetDue, Settled)

    def give_way(self) -> None:
        """The reset did not come yet, and an update has come so far: order it again only when that has ended."""
        self.stop_work()
        self.clear_timers()

    def wait_for_delivery(self) -> None:
        """The update has ended: its end status is to be heard first, if that does not take too long."""
        if ResetDue.__name__ not in self.draft.timers:  # a start of ours says so again
            self.set_timer(ResetDue, DELIVERY_TIMEOUT_S)

    def reset(self) -> None:
        """Order it, and note what the boot after it will say. A soft reset restarts EVerest only."""
        self.clear_timers()
        self.draft.tries += 1
        self.set_timer(ResetOverdue, RESET_TIMEOUT_S)
        if self.draft.type is ResetType.SOFT:
            before = self.draft.before_restart
            if before is None or self.draft.told:
                before = BootWord(boot_reason=self.draft.boot_reason, told=self.draft.told)
            self._explain_boot(self.draft.reason)  # EVerest may ask before its restart is reported
            self.draft.before_restart = before
            self.order(RestartEverest(self.draft.job, self.new_work()))
        else:
            self.draft.intended = self.draft.reason
            self.order(RebootMachine(self.draft.job, self.new_work()))

    def may_try_again(self) -> bool:
        """It was not ordered too often yet."""
        return self.draft.tries < TRIES

    def give_up(self) -> None:
        """It could not be done; nobody is there to be told but the log."""
        self.stop_work()
        self.draft.intended = None
        before = self.draft.before_restart
        if before is not None and not self.draft.told:
            self.draft.boot_reason, self.draft.told = before.boot_reason, before.told

    def rest(self) -> None:
        """Nothing is waited for any longer."""
        self.clear_timers()
        self.draft.before_restart = None

    def look_for_boot_instead(self) -> None:
        """After a start: a boot that came before the reset was ordered is as good as the reset."""
        if self.look_for_boot():
            self.raise_event(MachineBooted())

    def look_for_reset(self) -> None:
        """After a start: was it the reset, or did that fail to come?"""
        if self.look_for_boot():
            self.raise_event(MachineBooted())
        else:
            self.raise_event(ResetOverdue(self.draft.job))

    # --- boots ---

    def intend_firmware_boot(self) -> None:
        """The next boot belongs to a firmware update (L01.FR.32)."""
        if self.event.restart:
            self._explain_boot(BootReason.FIRMWARE_UPDATE)
        else:
            self.draft.intended = BootReason.FIRMWARE_UPDATE

    def forget_intention(self) -> None:
        """The update has ended: if its reboot never came, the next boot is another one."""
        self.draft.intended = None

    def look_for_boot(self) -> bool:
        """After a start: note whether the machine has booted, and why."""
        booted = self.now.boot_id != self.draft.boot_id
        reason = judge(Evidence(self._facts, booted, self.draft.intended, was_told=bool(self.draft.told)))
        if booted:
            self.draft.boot_id, self.draft.intended = self.now.boot_id, None
        if reason is not None:
            self._explain_boot(reason)
        return booted

    def tell_boot_reason(self) -> None:
        """The same to the same EVerest for as long as the boot lasts."""
        module_id, life = self.event.module_id, self.event.life
        told = self.draft.told.get(module_id)
        if told is None:
            told = Told(life=life, reason=self.draft.boot_reason)
        elif told.life != life:  # and nobody had ordered that it starts anew
            told = Told(life=life, reason=BootReason.APPLICATION_RESET)
        self.draft.told = {**self.draft.told, module_id: told}
        self.order(Reply("get_boot_reason", self.event.reply_to, told.reason))

    def _explain_boot(self, reason: BootReason) -> None:
        self.draft.boot_reason, self.draft.told, self.draft.before_restart = reason, {}, None
