"""Two machines and the cable between them, as far as a kernel can play that: network namespaces of a test's own.

    with Network() as network:
        with network.server():        # what this thread starts in here is on the server's machine
            nginx.start()             # listens on `SERVER`
        with network.client():
            service.start()           # has a loopback of its own, and the cable
        network.pull()                # the cable is out: nothing arrives, nobody is told
        network.plug()
        network.lose(10)              # percent of the packets, both ways

The namespaces have no names and belong to nobody else; they go with the last of those in them. The machine's own
network is not touched. Taking namespaces takes root.
"""

import contextlib
import ctypes
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from support.peers import program, require

SERVER, CLIENT = "10.99.0.1", "10.99.0.2"
_CLONE_NEWNET = 0x40000000
_DEADLINE_S = 30.0


class Network:
    """The two namespaces while the context lasts."""

    def __init__(self) -> None:
        self._ip = require("ip", program("ip"), "a network of a test's own")
        if os.geteuid() != 0:
            pytest.skip("a network of a test's own takes root")
        self._ends: list[int] = []

    def __enter__(self) -> Self:
        try:
            self._ends = [_new_namespace(), _new_namespace()]
        except OSError as error:
            pytest.skip(f"network namespaces cannot be made here: {error.strerror}")
        server, client = self._ends
        link = ["link", "add", "cable", "type", "veth", "peer", "name", "cable"]
        if not self._run(server, self._ip, *link, "netns", f"/proc/{os.getpid()}/fd/{client}", check=False):
            self.__exit__()
            pytest.skip("this kernel has no veth")
        for end, address in ((server, SERVER), (client, CLIENT)):
            self._run(end, self._ip, "address", "add", f"{address}/24", "dev", "cable")
            # What is lost is single packets then, as on a real cable.
            self._run(end, self._ip, "link", "set", "cable", "up", "gso_max_segs", "1")
            self._run(end, self._ip, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._ends:
            os.close(end)

    def server(self) -> contextlib.AbstractContextManager[None]:
        """Be on the server's machine: this thread, and all threads and processes that it starts."""
        return _inside(self._ends[0])

    def client(self) -> contextlib.AbstractContextManager[None]:
        """Be on the client's machine."""
        return _inside(self._ends[1])

    def pull(self) -> None:
        """Pull the cable out at the client's end."""
        self._run(self._ends[1], self._ip, "link", "set", "cable", "down")

    def plug(self) -> None:
        """Put it in again."""
        self._run(self._ends[1], self._ip, "link", "set", "cable", "up")

    def lose(self, percent: int) -> None:
        """Lose so many of the packets at random, both ways, or skip the test."""
        tc, iptables = program("tc"), program("iptables")
        for end in self._ends:
            by_tc = ("qdisc", "replace", "dev", "cable", "root", "netem", "loss", f"{percent}%")
            by_iptables = ("-w", "-A", "INPUT", "-i", "cable", "-m", "statistic", "--mode", "random")
            by_iptables += ("--probability", str(percent / 100), "-j", "DROP")
            if tc and self._run(end, tc, *by_tc, check=False):
                continue
            if iptables and self._run(end, iptables, *by_iptables, check=False):
                continue
            pytest.skip("this machine loses no packets: its kernel has no netem (tc) and no statistic match (iptables)")

    def wait_until_missed(self) -> None:
        """Wait until the server has waited in vain for the client to acknowledge something."""
        before, deadline = self._count("netstat", "TcpExt:", "TCPTimeouts"), time.monotonic() + _DEADLINE_S
        while self._count("netstat", "TcpExt:", "TCPTimeouts") == before:
            assert time.monotonic() < deadline, "the server misses nothing"
            time.sleep(0.01)  # the kernel counts, and tells nobody

    def sent_again(self) -> int:
        """How many segments the server has sent again so far."""
        return self._count("snmp", "Tcp:", "RetransSegs")

    def _count(self, file: str, protocol: str, counter: str) -> int:
        with self.server():
            lines = Path(f"/proc/thread-self/net/{file}").read_text().splitlines()
        names, values = [line.split() for line in lines if line.startswith(protocol)]
        return int(values[names.index(counter)])

    def _run(self, end: int, *command: str, check: bool = True) -> bool:
        with _inside(end):
            return subprocess.run(command, check=check, capture_output=not check).returncode == 0


@contextlib.contextmanager
def _inside(end: int) -> Iterator[None]:
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _check(_LIBC.setns(end, _CLONE_NEWNET))
    try:
        yield
    finally:
        _check(_LIBC.setns(before, _CLONE_NEWNET))
        os.close(before)


def _new_namespace() -> int:
    """Make a namespace in a thread of its own, which alone is in it; return a file descriptor that keeps it."""
    made: list[int | OSError] = []

    def make() -> None:
        try:
            _check(_LIBC.unshare(_CLONE_NEWNET))
            made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


_LIBC = ctypes.CDLL(None, use_errno=True)  # os.setns and os.unshare came with Python 3.12
