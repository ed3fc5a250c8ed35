"""The demonstration's three acts: an update, an image that somebody has tampered with, and the logs.

Each act is a request of EVerest's, the statuses that have to follow, and a look at what the service has left.
"""

import hashlib
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from everest_system.demo.follower import Follower, UnexpectedError
from everest_system.demo.inspection import look_into, require_active, require_image
from everest_system.demo.screen import Screen
from everest_system.demo.stage import IMAGE_MIB, Stage
from everest_system.demo.station_files import FACTORY_FIRMWARE
from everest_system.fsm.messages import BootReason, UpdateFirmwareResponse, UploadLogsResponse, UploadLogsStatus
from everest_system.fsm.timestamps import format_rfc3339

UPDATE: Final = 101
"""The request id of the first act, and of the next ones:"""
TAMPERED: Final = 102
LOGS: Final = 103

_WINDOW: Final = timedelta(minutes=30)
_FACTORY_SHA256: Final = hashlib.sha256(FACTORY_FIRMWARE).hexdigest()


class Script:
    """Plays the acts.

    Args:
        stage: where everything runs.
        screen: where it is told.
        follower: looks on.
    """

    def __init__(self, stage: Stage, screen: Screen, follower: Follower) -> None:
        self._stage = stage
        self._screen = screen
        self._follower = follower
        self.archive: Path
        """Where the logs have been sent to, once they have been."""

    def play(self) -> None:
        """All acts, and the end of the service.

        Raises:
            WorldError: something went otherwise than it should.
        """
        self._screen.fact(f"an MQTT broker, a server with a signed image of {IMAGE_MIB} MiB, one for logs,")
        self._screen.fact("the service as a process of its own, and EVerest's side of the wire")
        self._meet(BootReason.POWER_UP)
        self._stage.everest.accept_boot()
        for act in (self._update, self._tampered_image, self._logs):
            act()
            time.sleep(self._stage.pace.pause_s)
        self._follower.require_silence()
        self._screen.busy("ending it all")
        self._stage.go_down()

    def _update(self) -> None:
        pace, files, firmware = self._stage.pace, self._stage.files, self._stage.firmware
        self._screen.act("1  A signed update, to be fetched in a moment")
        retrieve_at = datetime.now(UTC) + timedelta(seconds=pace.retrieve_in_s)
        self._request_update(UPDATE, firmware.image, retrieve_at)
        waiting = "waiting for the time to fetch it"
        self._firmware(UPDATE, "DownloadScheduled", f"for {format_rfc3339(retrieve_at)[11:21]} UTC", waiting)
        self._firmware(UPDATE, "Downloading", f"{IMAGE_MIB} MiB over HTTP", "downloading")
        self._firmware(UPDATE, "Downloaded", "whole, and safe on disk", "verifying the signature")
        charging = "waiting for EVerest's permission: somebody still charges"
        self._firmware(UPDATE, "SignatureVerified", "ECDSA, by the manufacturer's certificate", charging)
        self._firmware(UPDATE, "Installing", "permitted by EVerest: into b, the other slot", "installing")
        self._firmware(UPDATE, "InstallRebooting", "slot b is next", "waiting for the reboot")
        self._reboot()
        self._firmware(UPDATE, "Installed", "said by the new firmware")
        require_active(files.slots, "b")
        require_image(files.slots, "b", firmware.sha256)
        require_image(files.slots, "a", _FACTORY_SHA256)
        self._screen.fact(f"slot b is active and holds the image, SHA-256 {firmware.sha256[:16]}…,")
        self._screen.fact("slot a holds what the station was delivered with")

    def _reboot(self) -> None:
        """Play the machine that goes down and comes up again, when the service orders it."""
        stage, screen = self._stage, self._screen
        self._follower.wait_until(lambda: stage.machine.reboot_ordered, "the order to reboot")
        screen.busy("the machine is down")
        stage.go_down()
        screen.fact("the machine goes down: the service has ended, EVerest too")
        time.sleep(stage.pace.boot_s)
        screen.busy("the machine boots")
        stage.come_up()
        self._meet(BootReason.FIRMWARE_UPDATE)
        screen.busy("the result is held until the CSMS has accepted the station")
        time.sleep(stage.pace.registration_s)
        stage.everest.accept_boot()
        screen.fact("the CSMS has accepted the station again")

    def _tampered_image(self) -> None:
        files, firmware = self._stage.files, self._stage.firmware
        self._screen.act("2  The same request, but somebody has changed one bit of the image")
        self._request_update(TAMPERED, firmware.tampered)
        self._firmware(TAMPERED, "Downloading", "", "downloading")
        self._firmware(TAMPERED, "Downloaded", "", "verifying the signature")
        self._firmware(TAMPERED, "InvalidSignature", "refused, as it has to be")
        require_active(files.slots, "b")
        require_image(files.slots, "b", firmware.sha256)
        require_image(files.slots, "a", _FACTORY_SHA256)
        self._screen.fact("both slots are as they were")

    def _logs(self) -> None:
        files = self._stage.files
        self._screen.act("3  The logs of the last half hour")
        oldest = datetime.now(UTC) - _WINDOW
        request = {
            "request_id": LOGS,
            "type": "DiagnosticsLog",
            "location": self._stage.ftp.url(),
            "oldest_timestamp": format_rfc3339(oldest),
        }
        reply = self._stage.everest.call("upload_logs", request)
        if not isinstance(reply, UploadLogsResponse) or reply.upload_logs_status is not UploadLogsStatus.ACCEPTED:
            raise UnexpectedError(f"upload_logs was answered {reply}")
        name = str(reply.file_name)
        self._screen.fact("EVerest asks for them by FTP: Accepted, under the name")
        self._screen.fact(f"  {name}")
        self._screen.busy("collecting")
        self._follower.follow("log", LOGS, "Uploading", "one archive, over FTP", "uploading")
        self._follower.follow("log", LOGS, "Uploaded")
        self.archive = files.uploads / name
        members = look_into(self.archive, files.logs, oldest)
        for member in members:
            short = str(Path("/", member.name).relative_to(files.logs.resolve()))
            self._screen.fact(f"in the archive: {short}, its last {member.lines} lines, as asked for")

    def _request_update(self, request_id: int, image: Path, retrieve_at: datetime | None = None) -> None:
        request = {
            "request_id": request_id,
            "location": self._stage.http.url(image.name),
            "signing_certificate": self._stage.firmware.certificate,
            "signature": self._stage.firmware.signature,
        }
        if retrieve_at is not None:
            request["retrieve_timestamp"] = format_rfc3339(retrieve_at)
        reply = self._stage.everest.call("update_firmware", request)
        if reply is not UpdateFirmwareResponse.ACCEPTED:
            raise UnexpectedError(f"update_firmware was answered {reply}")
        self._screen.fact(f"EVerest asks for {image.name}, signed: {reply}")

    def _firmware(self, request_id: int, word: str, remark: str = "", then: str = "") -> None:
        self._follower.follow("firmware", request_id, word, remark, then)

    def _meet(self, reason: BootReason) -> None:
        """EVerest's first question."""
        answer = self._stage.everest.boot_reason()
        if answer is not reason:
            raise UnexpectedError(f"the boot reason is {answer}, it should be {reason}")
        self._screen.fact(f"EVerest has started and asks for the boot reason: {answer}")
