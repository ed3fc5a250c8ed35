"""A signed image of 512 MiB downloaded and verified, beside `curl`, `sync` and `openssl dgst -verify` in turn.

Ours and theirs take turns, from the same server. The time in sync is shown apart: each is taken with its syncs, and
without any (theirs without `sync`, ours with `fsync` that returns at once).
"""

import base64
import json
import resource
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from bench import service
from bench.broker import HOST, AbsentError
from bench.figures import table, verdict
from bench.replies import read_port
from bench.sftp import sftp_server
from everest_system.demo.firmware_image import Firmware, make_firmware
from everest_system.demo.servers import FtpServer

PROMISED_RATIO = 0.85
PROMISED_CPU_RATIO = 1.1
SIZE_MIB = 512
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class _Took:
    wall_s: float
    cpu_s: float


def run(folder: Path) -> None:
    """Take and print the figures.

    Raises:
        AbsentError: there is no curl or no openssl on this machine.
        RuntimeError: something did not work as it should.
    """
    for program in ("curl", "openssl"):
        if shutil.which(program) is None:
            raise AbsentError(f"{program} is not on this machine")
    served = folder / "served"
    served.mkdir()
    firmware = make_firmware(served, SIZE_MIB)
    firmware.tampered.unlink()
    key, signature = _for_openssl(firmware, folder)
    rows, unsynced = [], {}
    for protocol, server in (("http", _http), ("ftp", _ftp), ("sftp", sftp_server)):
        try:
            with server(served, folder) as base:
                url = f"{base}{firmware.image.name}"
                for synced in (False, True):
                    ours, theirs = [], []
                    for _ in range(ROUNDS):
                        theirs.append(_theirs(url, folder, key, signature, synced=synced))
                        ours.append(_ours(url, folder, firmware, synced=synced))
                    if not synced:
                        unsynced[protocol] = ours, theirs
                    rows.append(_row(f"{protocol}, {'with' if synced else 'without'} sync", ours, theirs))
        except AbsentError as absent:
            print(f"{protocol} is left out: {absent}")
    print(table(("512 MiB, median", "ours", "theirs", "ratio", "ours, CPU", "theirs, CPU", "ratio"), rows))
    for protocol, pair in unsynced.items():
        wall, cpu = _ratios(*pair)
        print(
            verdict(f"{protocol}: time beside curl, sync and openssl, sync apart,", wall, PROMISED_RATIO, "of theirs")
        )
        print(verdict(f"{protocol}: CPU time", cpu, PROMISED_CPU_RATIO, "of theirs"))


def _ours(url: str, folder: Path, firmware: Firmware, *, synced: bool) -> _Took:
    part = folder / "ours.img"
    part.unlink(missing_ok=True)
    files = map(str, (part, firmware.root, firmware.certificate_file, firmware.signature_file, folder))
    command = [sys.executable, "-m", "bench.verified_download", url, *files, *([] if synced else ["unsynced"])]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=service.environment())
    return _Took(**json.loads(done.stdout))


def _theirs(url: str, folder: Path, key: Path, signature: Path, *, synced: bool) -> _Took:
    file = folder / "theirs.img"
    file.unlink(missing_ok=True)
    ssh = ("--key", folder / "user_key", "--pubkey", folder / "user_key.pub", "--insecure") if "sftp" in url else ()
    commands: list[Sequence[str | Path]] = [
        ("curl", "--silent", "--show-error", "--fail", *ssh, "--output", file, url),
        *([("sync", file)] if synced else []),
        ("openssl", "dgst", "-sha256", "-verify", key, "-signature", signature, file),
    ]
    begun, begun_cpu = monotonic(), _children_cpu_s()
    for command in commands:
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return _Took(monotonic() - begun, _children_cpu_s() - begun_cpu)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _for_openssl(firmware: Firmware, folder: Path) -> tuple[Path, Path]:
    key, signature = folder / "signer-key.pem", folder / "signature.bin"
    extract = ["openssl", "x509", "-in", str(firmware.certificate_file), "-pubkey", "-noout", "-out", str(key)]
    subprocess.run(extract, check=True)
    signature.write_bytes(base64.b64decode(firmware.signature))
    return key, signature


@contextmanager
def _http(served: Path, folder: Path) -> Iterator[str]:
    port_file = folder / "http.port"
    command = (sys.executable, "-m", "bench.file_server", str(served), str(port_file))
    with service.Process(command, folder / "http.log"):
        yield f"http://{HOST}:{read_port(port_file)}/"


@contextmanager
def _ftp(served: Path, _folder: Path) -> Iterator[str]:
    with FtpServer(served) as server:
        yield server.url()


def _ratios(ours: Sequence[_Took], theirs: Sequence[_Took]) -> tuple[float, float]:
    """Of each round's own pair, so that what the machine does besides touches both."""
    pairs = list(zip(ours, theirs, strict=True))
    return (
        statistics.median(one.wall_s / other.wall_s for one, other in pairs),
        statistics.median(one.cpu_s / other.cpu_s for one, other in pairs),
    )


def _row(name: str, ours: Sequence[_Took], theirs: Sequence[_Took]) -> list[str]:
    def middle(all_of: Sequence[_Took], figure: str) -> str:
        return f"{statistics.median(getattr(one, figure) for one in all_of):.2f} s"

    wall, cpu = _ratios(ours, theirs)
    return [
        name,
        middle(ours, "wall_s"),
        middle(theirs, "wall_s"),
        f"x{wall:.2f}",
        middle(ours, "cpu_s"),
        middle(theirs, "cpu_s"),
        f"x{cpu:.2f}",
    ]
