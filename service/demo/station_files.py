"""The files of the demonstration's station, all below one folder: its configuration, its first firmware, its logs."""

import glob
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from everest_system.demo.pace import Pace
from everest_system.fsm.timestamps import format_rfc3339

FACTORY_FIRMWARE: Final = b"what the station was delivered with\n"
LOG_LINES: Final = 120
"""In the station's log, one a minute, up to now."""


class StationFiles:
    """Where everything is.

    Args:
        folder: holds all of it; must exist and be empty.

    Attributes:
        config: the service's configuration.
        state: the service's folder, with the slots in it.
        machine: what belongs to the machine underneath.
        served: what the HTTP server serves.
        uploads: where the FTP server puts what is sent to it.
        logs: the station's log files.
        drawing: of the path taken; its suffix is added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "station.toml"
        self.state = folder / "state"
        self.slots = self.state / "slots"
        self.machine = folder / "machine"
        self.served = folder / "served"
        self.uploads = folder / "uploads"
        self.logs = folder / "logs"
        self.drawing = folder / "firmware"

    def make(self, now: datetime) -> None:
        """Make the folders, the firmware that the station came with, and two logs that end at `now`.

        Raises:
            OSError: something cannot be written.
        """
        for folder in (self.machine, self.served, self.uploads, self.logs / "ocpp", self.slots / "a"):
            folder.mkdir(parents=True)
        self.state.chmod(0o700)
        (self.slots / "a" / "image").write_bytes(FACTORY_FIRMWARE)
        times = [now - timedelta(minutes=minutes) for minutes in reversed(range(LOG_LINES))]
        for name, text in (("everest.log", "charging at 11.0 kW"), ("ocpp/messages.log", "MeterValues sent")):
            lines = [f"{format_rfc3339(time)} connector 1: {text}\n" for time in times]
            (self.logs / name).write_text("".join(lines))

    def write_config(self, *, port: int, root: Path, reboot: Sequence[str], boot_id_file: Path, pace: Pace) -> None:
        """Write the service's configuration.

        Args:
            port: the broker's.
            root: the manufacturer's root certificate.
            reboot: the program that reboots.
            boot_id_file: see `platform.boot_id_file`.
            pace: how fast it goes.

        Raises:
            OSError: it cannot be written.
        """
        self.config.write_text(
            f"""\
# The station of the demonstration. With its broker gone, it can still be asked what it did:
#     everest-system history -c {self.config.name}

[mqtt]
host = "127.0.0.1"
port = {port}

[station]
state_dir = {_quoted(self.state)}
reply_settle_s = {min(pace.heartbeat_s, 0.5)}

[firmware]
installer = "slots"
trust_anchors = [{_quoted(root)}]
schemes = ["http"]
reboot_grace_s = {pace.reboot_grace_s}

[logs]
schemes = ["ftp"]

[logs.sources.DiagnosticsLog]
files = [{_quoted(f"{glob.escape(str(self.logs))}/**/*")}]
journal = false
service = false

[platform]
kind = "command"
boot_id_file = {_quoted(boot_id_file)}

[platform.command]
reboot = [{", ".join(map(_quoted, reboot))}]
"""
        )


def _quoted(value: object) -> str:
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")  # a TOML string, but for DEL
