"""What systemd hears of us, and that nothing depends on it."""

import os
import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from support.service_manager import ServiceManager

from everest_system.io.notify_socket import NotifySocket


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_words_are_systemds(kind: str, tmp_path: Path) -> None:
    """Each message is a datagram of its own, as sd_notify(3) spells it, over either kind of address."""
    with ServiceManager.abstract() if kind == "abstract" else ServiceManager(tmp_path / "notify") as manager:
        notify = NotifySocket(manager.name)
        notify.status("opening the store")
        notify.ready()
        notify.alive()
        notify.stopping()
        manager.drain()
    assert manager.heard == ["STATUS=opening the store", "READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_status_is_one_short_line_said_once(tmp_path: Path) -> None:
    """A line break would begin another word of the protocol; what has not changed is not repeated."""
    with ServiceManager(tmp_path / "notify") as manager:
        notify = NotifySocket(manager.name)
        for text in ("a\nREADY=1", "a\nREADY=1", "b" * 1000):
            notify.status(text)
        manager.drain()
    assert manager.heard == ["STATUS=a READY=1", "STATUS=" + "b" * 256]


def test_environment_is_read_once() -> None:
    """The variables are systemd's word to this process alone: no program that we start inherits them."""
    environment = {
        "NOTIFY_SOCKET": "/run/notify",
        "WATCHDOG_USEC": "3000000",
        "WATCHDOG_PID": str(os.getpid()),
        "A": "b",
    }
    assert NotifySocket.from_environment(environment).watchdog_s == 3
    assert environment == {"A": "b"}


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "1"}, None),
        ({"WATCHDOG_USEC": "often"}, None),
        ({"WATCHDOG_USEC": "9" * 20}, None),
        ({"WATCHDOG_USEC": "9" * 400}, None),
        ({"WATCHDOG_USEC": "500000", "NOTIFY_SOCKET": ""}, None),
        ({"WATCHDOG_USEC": "500000", "NOTIFY_SOCKET": "vsock:2:1"}, None),
    ],
)
def test_watchdog_is_for_us_only_if_all_says_so(environment: dict[str, str], watchdog_s: float | None) -> None:
    """A time, meant for this process, and somebody who listens."""
    assert NotifySocket.from_environment({"NOTIFY_SOCKET": "@nobody", **environment}).watchdog_s == watchdog_s


def test_without_a_service_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by hand, no socket is even made."""
    monkeypatch.setattr(socket, "socket", None)
    notify = NotifySocket.from_environment({})
    notify.ready()
    notify.status("idle")
    notify.alive()
    notify.stopping()


def test_a_deaf_service_manager_costs_a_line(tmp_path: Path) -> None:
    """One that is gone is told of in the log, and the service goes on."""
    with capture_logs() as lines:
        NotifySocket(str(tmp_path / "gone")).ready()
    assert [line["event"] for line in lines] == ["systemd did not hear READY: No such file or directory"]


def test_a_full_socket_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A systemd that reads nothing holds the loop up for no longer than the time-out."""
    monkeypatch.setattr("everest_system.io.notify_socket._TIMEOUT_S", 0.05)
    with ServiceManager(tmp_path / "notify") as manager, capture_logs() as lines:
        notify = NotifySocket(manager.name)
        for _ in range(10_000):
            notify.alive()
            if lines:
                break
    assert [line["event"] for line in lines] == ["systemd did not hear WATCHDOG: timed out"]
