"""What downloads cost the service in memory, and what is left of them: no ratio, the peer is the service before them.

The large one is signed, 512 MiB, verified and installed; its peak counts from the idle service. The 200 are of 1 MiB,
each to Installed; once all is loaded that will be, after the first twenty, nothing may grow any more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path

from bench import service
from bench.broker import HOST, Mosquitto
from bench.figures import table, verdict
from bench.replies import read_port
from everest_system.demo.firmware_image import Firmware, make_firmware
from everest_system.everest_side import EverestSide
from everest_system.io.mqtt.link import MqttSettings

PROMISED_PEAK_MIB = 24
LARGE_MIB = 512
TIMES, WARM = 200, 20
_PATIENCE_S = 120.0
_MODULE = service.MODULES[0]


@dataclass(frozen=True, slots=True)
class _Held:
    resident_kib: int
    descriptors: int
    threads: int


def run(folder: Path) -> None:
    """Take and print the figures.

    Raises:
        AbsentError: there is no mosquitto on this machine.
        RuntimeError: something did not work as it should.
    """
    with Mosquitto(folder) as broker:
        with _station(folder / "large", broker.port, LARGE_MIB) as station:
            idle_kib, _ = station.process.resident_kib()
            station.update(1)
            peak_mib = (station.process.peak_kib() - idle_kib) / 1024
        with _station(folder / "small", broker.port, 1) as station:
            held = []
            for number in range(1, TIMES + 1):
                station.update(number)
                if number in {WARM, TIMES // 2, TIMES}:
                    held.append((f"after {number}", station.held()))
    rows = [[name, *map(str, astuple(now))] for name, now in held]
    print(table(("downloads of 1 MiB", "resident KiB", "descriptors", "threads"), rows))
    (_, early), (_, late) = held[0], held[-1]
    print(f"from {WARM} to {TIMES}: {(late.resident_kib - early.resident_kib) / 1024:+.1f} MiB resident")
    print(verdict(f"peak of a verified {LARGE_MIB} MiB download above idle", peak_mib, PROMISED_PEAK_MIB, "MiB"))


class _Station:
    """A running service with one image to download again and again."""

    def __init__(self, process: service.Process, everest: EverestSide, url: str, firmware: Firmware) -> None:
        self.process = process
        self._everest, self._url, self._firmware = everest, url, firmware

    def update(self, number: int) -> None:
        request = {
            "request_id": number,
            "location": f"{self._url}{self._firmware.image.name}",
            "signing_certificate": self._firmware.certificate,
            "signature": self._firmware.signature,
        }
        answer = self._everest.call("update_firmware", request, _PATIENCE_S)
        if answer != "Accepted":
            raise RuntimeError(f"update {number} was answered {answer}")
        self._everest.wait_for("SignatureVerified", number, _PATIENCE_S)
        self._everest.allow_installation()
        self._everest.wait_for("Installed", number, _PATIENCE_S)

    def held(self) -> _Held:
        return _Held(self.process.resident_kib()[0], self.process.descriptors(), self.process.threads())


@contextmanager
def _station(folder: Path, port: int, size_mib: int) -> Iterator[_Station]:
    served, port_file = folder / "served", folder / "http.port"
    served.mkdir(parents=True)
    firmware = make_firmware(served, size_mib)
    config = service.write_config(folder, port, trust_anchor=firmware.root)
    command = (service.PYTHON, "-m", "bench.file_server", str(served), str(port_file))
    with (
        service.Process(command, folder / "http.log"),
        service.service(config) as process,
        EverestSide(
            MqttSettings(HOST, port), _MODULE, ocpp=None, permission_delay_s=None, check_period_s=60
        ) as everest,
    ):
        everest.wait_for_service()
        everest.call("get_boot_reason")
        yield _Station(process, everest, f"http://{HOST}:{read_port(port_file)}/", firmware)
