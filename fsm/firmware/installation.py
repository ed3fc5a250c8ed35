"""The installation's part of a firmware update: the checks before it, its time, the permission for it."""

from everest_system.fsm.deadlines import At
from everest_system.fsm.firmware.base import FirmwareBase, Word
from everest_system.fsm.firmware.events import InstallTimeReached, PermissionTimedOut
from everest_system.fsm.firmware.snapshot import Fault, Permission
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.orders import CheckArtifact, StartInstall, Tell
from everest_system.fsm.platform.events import FirmwareBusy


class Installation(FirmwareBase):
    """Guards and actions from DOWNLOADED to INSTALLING."""

    # --- the checks ---

    def check_artifact(self) -> None:
        """Have the signature verified and the installer look at the file."""
        assert self.draft.artifact is not None
        self.order(CheckArtifact(self.draft.job, self.new_work(), self.request, self.draft.artifact))

    def check_again(self) -> None:
        """Go on after a crash in the middle; whatever EVerest answered meanwhile is not to be relied on."""
        self.forget_permission()
        self.check_artifact()

    def keep_target(self) -> None:
        """Remember where to install to, before anything is written there."""
        self.draft.target = self.event.target

    def keep_verified(self) -> None:
        """Remember it, and what the firmware, whose signature holds, says of the connectors."""
        self.keep_target()
        self.hear_artifact()

    def keep_unfit(self) -> None:
        """The installer will not have it: INSTALLING ends with InstallVerificationFailed."""
        self.draft.fault = Fault.UNFIT
        self.keep_reason()

    def keep_failed(self) -> None:
        """The installer could not even look: INSTALLING ends with InstallationFailed."""
        self.draft.fault = Fault.FAILED
        self.keep_reason()

    def is_unfit(self) -> bool:
        """The installer's check refused the file."""
        return self.draft.fault is Fault.UNFIT

    def is_faulty(self) -> bool:
        """The installer's check found a fault of whatever kind."""
        return self.draft.fault is not Fault.NONE

    # --- the time ---

    def install_time_ahead(self) -> bool:
        """The installation is to take place later (L01.FR.16)."""
        at = self.request.install_timestamp
        return at is not None and at > self.now.wall

    def wait_for_install_time(self) -> None:
        """Wait for the wall clock to reach the install time."""
        assert self.request.install_timestamp is not None
        self.set_deadline(InstallTimeReached, At(wall=self.request.install_timestamp))

    # --- the permission ---

    def is_trigger(self) -> bool:
        """The status that goes out is the one at which EVerest gives its permission."""
        return self.draft.permission is Permission.NONE and self.event.word == self.trigger_word

    def arm_permission(self) -> None:
        """Listen from now on."""
        self.draft.permission = Permission.ARMED

    def armed(self) -> bool:
        """A permission now belongs to this update."""
        return self.draft.permission is not Permission.NONE

    def armed_in_vain(self) -> bool:
        """EVerest was asked for its permission, and has not given it as far as we have heard."""
        return self.draft.permission is Permission.ARMED

    def doubt_permission(self) -> None:
        """The answer may have been lost: ask once more when it is needed."""
        self.draft.ask_again = True

    def note_unasked(self) -> None:
        """If the trigger status never went out, ask now: an EVerest that has come since is told the latest one only."""
        if not self.armed():
            self.draft.ask_again = True

    def keep_permission(self) -> None:
        """Remember that it was given."""
        self.draft.permission = Permission.GIVEN

    def permitted(self) -> bool:
        """Nothing but time can still hold up the installation (L01.FR.06)."""
        nobody_waits = not self.rules.permission_required or self.draft.disable_connectors is False
        return nobody_waits or self.draft.permission is Permission.GIVEN

    def forget_permission(self) -> None:
        """The EVerest that gave it, or would have, is gone; the next one gives its own when asked.

        After a start of ours it may be gone too: a power cut ends both. Asking once more does no harm if it is not.
        """
        self.draft.permission = Permission.NONE
        self.draft.ask_again = not (self.draft.state is FirmwareState.DOWNLOADED and self.is_signed())  # not yet asked

    def wait_for_permission(self) -> None:
        """Wait for as long as configured, and say the trigger status again if it may have gone unheard."""
        if self.rules.permission_timeout_s:
            self.set_timer(PermissionTimedOut, self.rules.permission_timeout_s)
        if self.draft.ask_again:
            self.ask_everest_again()

    def wait_on(self) -> None:
        """After a start: ask for the permission again, if it is still wanted."""
        if self.permitted():
            self.go_on()
        else:
            self.ask_everest_again()

    def ask_everest_again(self) -> None:
        """Say the trigger status so that it passes EVerest's filter for repeated ones: behind another word."""
        self.draft.ask_again = False
        if self.request.request_id != -1 and self.draft.last_word != Word.INSTALL_SCHEDULED:
            self.speak(Word.INSTALL_SCHEDULED)
        self.speak(self.trigger_word)

    def ask_new_everest(self) -> None:
        """An EVerest that has just started filters nothing yet: the trigger status alone."""
        self.draft.permission = Permission.NONE
        self.speak(self.trigger_word)

    def note_no_permission(self) -> None:
        """It has not come."""
        self.draft.reason = f"no permission to install came within {self.rules.permission_timeout_s:g} s"

    # --- the installation ---

    def start_install(self) -> None:
        """Install to the target chosen by the check, and note in which boot: the old firmware runs in it."""
        self.draft.install_boot_id = self.now.boot_id
        self._install(again=False)

    def install_on(self) -> None:
        """Go on after a crash in the middle."""
        self.draft.resumed = True
        self._install(again=True)

    def was_resumed(self) -> bool:
        """Before the crash it may have come as far as activating."""
        return self.draft.resumed

    def _install(self, *, again: bool) -> None:
        artifact = self.draft.artifact
        assert artifact is not None
        self.clear_timers()
        self.order(
            Tell("platform", FirmwareBusy()),
            StartInstall(self.draft.job, self.new_work(), self.request, artifact, self.draft.target, again=again),
        )
