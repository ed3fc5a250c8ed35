"""The last part of a firmware update: making the new firmware the active one, or the old one again."""

from everest_system.fsm.firmware.base import FirmwareBase, Word
from everest_system.fsm.firmware.events import Booted, BootedTooOften, HealthCheckDue, RebootDue, RebootOverdue
from everest_system.fsm.messages import BootReason, ResetType
from everest_system.fsm.orders import ActivateByReboot, ActivateByRestart, ConfirmInstall, RollBack, Tell
from everest_system.fsm.platform.events import FirmwareRebootOrdered, ResetRequested

ANNOUNCEMENT_TIMEOUT_S = 60  # a reboot does not wait longer than this for InstallRebooting to be delivered
REBOOT_TIMEOUT_S = 300  # a reboot that has not come by then will not: services may take long to stop
REBOOTS = 3


class Activation(FirmwareBase):
    """Guards and actions from INSTALLING to the end."""

    def keep_activation(self) -> None:
        """Remember what makes the new firmware active."""
        self.draft.activation = self.event.activation

    def is_active_at_once(self) -> bool:
        """Neither a reboot nor a restart is needed."""
        return bool(self.event.activation == "none")

    def announce_reboot(self) -> None:
        """Give InstallRebooting the time to be heard (L01.FR.32)."""
        self.draft.reboot_boot_id = self.now.boot_id
        self.set_timer(RebootDue, ANNOUNCEMENT_TIMEOUT_S)

    def is_announcement(self) -> bool:
        """EVerest has heard InstallRebooting, and nothing is ordered yet."""
        return bool(self.event.word == Word.INSTALL_REBOOTING) and not self.draft.reboots

    def start_grace(self) -> None:
        """Leave EVerest the time to pass it on."""
        self.set_timer(RebootDue, self.rules.reboot_grace_s)

    def activate(self) -> None:
        """Order the reboot, or the restart, and note what it is for."""
        self.draft.reboots += 1
        self.set_timer(RebootOverdue, REBOOT_TIMEOUT_S)
        restart = self.draft.activation == "restart"
        order = ActivateByRestart if restart else ActivateByReboot
        self.order(Tell("platform", FirmwareRebootOrdered(restart=restart)), order(self.draft.job, self.new_work()))

    def may_reboot_again(self) -> bool:
        """It was not ordered too often yet."""
        return self.draft.reboots < REBOOTS

    def reboot_again(self) -> None:
        """The reboot did not come: order it once more, a little later."""
        self.stop_work()
        self.clear_timers(RebootOverdue)
        self.set_timer(RebootDue, self.rules.reboot_grace_s)

    def note_no_reboot(self) -> None:
        """It never came."""
        self.stop_work()
        self.draft.reason = f"the reboot was ordered {self.draft.reboots} times and did not come"

    def look_for_boot(self) -> None:
        """After a start: was it the boot that activates the firmware, or did that fail to come?"""
        if self.now.boot_id != self.draft.reboot_boot_id:
            self.raise_event(Booted(self.draft.work))
        elif self.draft.reboots:
            self.raise_event(RebootOverdue(self.draft.job))

    def confirm(self) -> None:
        """The new firmware should run by now: see whether it does, and how well."""
        self.draft.booted = True
        self._begin_boot()
        self.check_health()

    def confirm_on(self) -> None:
        """After a start: go on with it; a boot in which the firmware went down before that is not its last chance."""
        if self.now.boot_id != self.draft.confirm_boot_id:
            self._begin_boot()
        if self.draft.boots > self.rules.confirm_boots:
            times = f"{self.rules.confirm_boots} times" if self.rules.confirm_boots > 1 else "once"
            self.raise_event(
                BootedTooOften(f"the new firmware was booted {times}, and went down before it had proved healthy")
            )
        elif HealthCheckDue.__name__ not in self.draft.timers:
            self.check_health()

    def _begin_boot(self) -> None:
        self.clear_timers()
        self.draft.boots += 1
        self.draft.confirm_boot_id, self.draft.checks = self.now.boot_id, 0

    def check_health(self) -> None:
        """See which firmware runs, and how well."""
        self.order(ConfirmInstall(self.draft.job, self.new_work(), self.request, self.draft.target))

    def checks_left(self) -> bool:
        """The check that failed was not the last in this boot."""
        return self.draft.checks + 1 < self.rules.health_check_retries

    def count_check(self) -> None:
        """Look again a little later: what a boot starts may take its time."""
        self.draft.checks += 1
        self.keep_reason()
        self.set_timer(HealthCheckDue, self.rules.health_check_interval_s)

    def forget_reason(self) -> None:
        """What went wrong on the way did not decide."""
        self.draft.reason = ""

    def roll_back(self) -> None:
        """Put the old firmware in its place again."""
        self.clear_timers()
        self.order(RollBack(self.draft.job, self.new_work(), self.request, self.draft.target))

    def return_to_old(self) -> None:
        """Where the new firmware may be running, leave it once the end status is delivered.

        A power cut behind the swap of the slots boots it too, whatever the state: only in the boot in which the
        installation began is it certain that the old one still runs.
        """
        may_run = self.draft.booted or self.now.boot_id != self.draft.install_boot_id
        if not may_run or self.event.activation == "none":
            return
        kind = ResetType.HARD if self.event.activation == "reboot" else ResetType.SOFT
        reset = ResetRequested(kind, reason=BootReason.FIRMWARE_UPDATE, busy=True)
        self.order(Tell("platform", reset))

    def note_no_way_back(self) -> None:
        """Both reasons belong together."""
        self.draft.reason = f"{self.draft.reason}; and rolling back failed: {self.event.reason}"
