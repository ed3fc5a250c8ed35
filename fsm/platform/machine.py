"""Resets and boots: the guards and actions that their table names."""

from collections.abc import Mapping
from typing import Any

from everest_system.fsm.machine import TableMachine
from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.orders import RebootMachine, Reply, RestartEverest
from everest_system.fsm.platform.events import MachineBooted, ResetDue, ResetOverdue
from everest_system.fsm.platform.snapshot import PlatformSnapshot
from everest_system.fsm.platform.table import RECOVERY, TABLE

DELIVERY_TIMEOUT_S = 60  # a reset does not wait longer than this for an update's end status to be delivered
RESET_TIMEOUT_S = 300  # a reset that has not come by then will not: services may take long to stop
TRIES = 3


class PlatformMachine(TableMachine[PlatformSnapshot]):
    """The machine that `reset` and `get_boot_reason` drive."""

    name = "platform"
    table: Mapping[Any, Any] = TABLE
    recovery: Mapping[Any, str] = RECOVERY

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

    def wait_for_next_end(self) -> None:
        """While the end status was on its way, the next update came so far: its end is what counts now."""
        self.clear_timers(ResetDue)

    def give_way(self) -> None:
        """The reset did not come yet, and an update has come so far: order it again only when that has ended."""
        self.stop_work()
        self.clear_timers()

    def wait_for_delivery(self) -> None:
        """The update has ended: its end status is to be heard first, if that does not take too long."""
        self.set_timer(ResetDue, DELIVERY_TIMEOUT_S)

    def reset(self) -> None:
        """Order it, and note what the boot after it will say. A soft reset restarts EVerest only."""
        self.clear_timers()
        self.draft.tries += 1
        self.set_timer(ResetOverdue, RESET_TIMEOUT_S)
        if self.draft.type is ResetType.SOFT:
            self._explain_boot(self.draft.reason)
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

    def rest(self) -> None:
        """Nothing is waited for any longer."""
        self.clear_timers()

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
        if booted:
            self._explain_boot(self.draft.intended or BootReason.POWER_UP)
            self.draft.boot_id, self.draft.intended = self.now.boot_id, None
        elif self.draft.asked:  # whoever asks again in the same boot is an EVerest that started with us
            self._explain_boot(BootReason.APPLICATION_RESET)
        return booted

    def tell_boot_reason(self) -> None:
        """The same for as long as the boot lasts."""
        self.draft.asked = True
        self.order(Reply("get_boot_reason", self.event.reply_to, self.draft.boot_reason))

    def _explain_boot(self, reason: BootReason) -> None:
        self.draft.boot_reason, self.draft.asked = reason, False
