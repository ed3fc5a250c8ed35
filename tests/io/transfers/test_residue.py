"""What two hundred downloads leave of themselves in the process that made them."""

import os
import tempfile
import threading
import time
from pathlib import Path

import pytest
from support.ftp_server import FtpServer
from support.http_server import File, HttpServer, Reply
from support.transfer_side import TransferSide

from everest_system.io.transfers.transfer import TransferError

CONTENT = os.urandom(50_000)
WARM, TIMES = 20, 200
GROWTH_MIB = 4


def held() -> tuple[int, set[str]]:
    """Open descriptors, and the names of threads that are the engine's."""
    engines = {thread.name for thread in threading.enumerate() if thread.name.startswith(("hash", "curl"))}
    return len(list(Path("/proc/self/fd").iterdir())), engines


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / (1 << 20)


def settled(wanted=None):
    """What is held once the servers, which are in this process as well, have hung up too."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        serving = any("process_request" in thread.name for thread in threading.enumerate())
        if not serving and wanted in (None, held()):
            break
        threading.Event().wait(0.01)
    return held()


@pytest.fixture
def quick_folder():
    """A folder that no disk slows down: each download syncs four times."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        yield Path(folder)


def test_nothing_is_left_of_many_downloads(quick_folder):
    """After the first twenty, 180 more downloads, a third of them failed, leave no descriptor, thread or memory."""
    (quick_folder / "ftp").mkdir()
    (quick_folder / "ftp" / "f").write_bytes(CONTENT)
    with HttpServer() as http, FtpServer(quick_folder / "ftp") as ftp:
        http.files["/f"] = http.files["/cut"] = File(CONTENT, etag='"1"')
        urls = [http.url("/f"), http.url("/none"), http.url("/cut"), http.url("/f"), ftp.url("/f"), http.url("/f")]
        whole, before, resident = 0, held(), 0.0
        for number in range(TIMES):
            if number == WARM:
                before, resident = settled(), resident_mib()
            folder = quick_folder / str(number)
            folder.mkdir()
            http.plan("/cut", Reply(cut_at=30_000))
            try:
                TransferSide(folder).get(urls[number % len(urls)])
                whole += 1
            except TransferError:
                pass
        assert settled(before) == before
        assert resident_mib() - resident < GROWTH_MIB
    assert abs(whole - TIMES * 2 / 3) < 2
