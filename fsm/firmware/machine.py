"""The firmware update as a whole: its requests and its ends.

machine = FirmwareMachine(FirmwareSnapshot(), FirmwareRules())
outcome = machine.handle(UpdateRequested(request, reply_to, run=1), now)
store.commit(...)                      # the caller's part: written before done
machine.adopt(outcome)
carry_out(outcome.orders)
"""

from everest_system.fsm.firmware.activation import Activation
from everest_system.fsm.firmware.download import Download
from everest_system.fsm.firmware.installation import Installation
from everest_system.fsm.firmware.snapshot import FirmwareSnapshot
from everest_system.fsm.firmware.states import FirmwareState
from everest_system.fsm.messages import UpdateFirmwareResponse
from everest_system.fsm.orders import RemoveArtifact, Reply, Tell
from everest_system.fsm.platform.events import FirmwareHeard, FirmwareSettled


class FirmwareMachine(Download, Installation, Activation):
    """The machine that `update_firmware` drives (OCPP 2.0.1 L01 and L02; 1.6 security whitepaper)."""

    def accept(self) -> None:
        """Begin a new job; AcceptedCanceled if another one had to make way for it (L01.FR.24)."""
        canceled = self.draft.state is FirmwareState.CANCELED
        self.draft = FirmwareSnapshot(
            state=self.draft.state,
            job=self.draft.job + 1,
            work=self.draft.work + 1,
            request=self.event.request,
            run=self.event.run,
            disable_connectors=self.event.disable_connectors,
        )
        self._reply(UpdateFirmwareResponse.ACCEPTED_CANCELED if canceled else UpdateFirmwareResponse.ACCEPTED)

    def reject(self) -> None:
        """An update that cannot be interrupted goes on (L01.FR.27)."""
        self._reply(UpdateFirmwareResponse.REJECTED)

    def end(self) -> None:
        """Nothing of the job is left but its snapshot."""
        self.clear_timers()
        self.clean_up()
        self.order(Tell("platform", FirmwareSettled()))

    def clean_up(self) -> None:
        """Remove the download, also where a crash came in between."""
        self.order(RemoveArtifact(self.draft.job))

    def is_last_word(self) -> bool:
        """EVerest has heard the end status."""
        return bool(self.event.word == self.draft.last_word)

    def release_reset(self) -> None:
        """A reset that waited for this update need not wait any longer."""
        self.order(Tell("platform", FirmwareHeard()))

    def _reply(self, response: UpdateFirmwareResponse) -> None:
        self.order(Reply("update_firmware", self.event.reply_to, response))
