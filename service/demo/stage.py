"""All that the demonstration starts, and takes down again: broker, file servers, the machine with the service, EVerest.

Everything is below one folder, on the loopback, on ports that the kernel chose. What has been started is ended in the
opposite order, within seconds and whatever has gone wrong.

    with Stage(folder, FAST) as stage:
        stage.everest.call(…)
"""

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from everest_system.demo.broker import EmbeddedBroker
from everest_system.demo.firmware_image import Firmware, make_firmware
from everest_system.demo.machine import SERVICE, Machine, MachineError
from everest_system.demo.pace import Pace
from everest_system.demo.servers import FtpServer, HttpServer
from everest_system.demo.station_files import StationFiles
from everest_system.everest_side import EverestSide
from everest_system.io.mqtt.link import MqttSettings

IMAGE_MIB: Final = 32
_USER: Final = "station"
_PASSWORD: Final = "not a secret"  # noqa: S105 - shows that none of it turns up in a log


class Stage:
    """Makes and starts everything on entering, and ends it on leaving.

    Args:
        folder: for all files; must exist and be empty.
        pace: how fast it goes.
        service: the service's command line, without the configuration's path at its end.

    Attributes:
        files: where things are.
        firmware: what the manufacturer delivers; there before anything is started.
        http: serves the firmware.
        ftp: takes the logs.
        machine: runs the service.
        everest: EVerest's side.
    """

    def __init__(self, folder: Path, pace: Pace, service: Sequence[str] = SERVICE) -> None:
        self.pace = pace
        self.files = StationFiles(folder)
        self.machine = Machine(self.files.machine, self.files.state, service)
        self.firmware: Firmware
        self.http: HttpServer
        self.ftp: FtpServer
        self.everest: EverestSide
        self._running: ExitStack

    def __enter__(self) -> Self:
        self.files.make(datetime.now(UTC))
        self.firmware = self.make_firmware()
        with ExitStack() as running:
            broker = running.enter_context(EmbeddedBroker())
            self.http = running.enter_context(HttpServer(self.files.served, self.pace.rate_kib_s))
            self.ftp = running.enter_context(FtpServer(self.files.uploads, _USER, _PASSWORD))
            self.everest = EverestSide(
                MqttSettings(broker.host, broker.port),
                heartbeat_s=self.pace.heartbeat_s,
                permission_delay_s=self.pace.permission_delay_s,
            )
            running.callback(self.everest.stop)
            self.files.write_config(
                port=broker.port,
                root=self.firmware.root,
                reboot=self.machine.reboot_program,
                boot_id_file=self.machine.boot_id_file,
                pace=self.pace,
            )
            running.callback(self._end_service)
            self.machine.boot(self.files.config)
            self.everest.start()
            self._running = running.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def make_firmware(self) -> Firmware:
        """Make what the HTTP server serves."""
        return make_firmware(self.files.served, IMAGE_MIB)

    def go_down(self) -> None:
        """The machine goes down, and EVerest with it.

        Raises:
            MachineError: the service does not stop as it should.
        """
        self.everest.stop()
        self.machine.shut_down()

    def come_up(self) -> None:
        """The machine boots: the service first, then EVerest.

        Raises:
            MachineError: the service does not come up.
            EverestSideError: the broker cannot be reached.
        """
        self.machine.boot(self.files.config)
        self.everest.start()

    def _end_service(self) -> None:
        with suppress(MachineError):  # at the end of a failure that has been told
            self.machine.shut_down()
