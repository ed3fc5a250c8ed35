"""How systemd hears of us: `sd_notify`'s datagrams over the socket that it names in `NOTIFY_SOCKET`.

Started by hand, or by a service manager that does not ask, nothing is sent and nothing is missing. What systemd
asked for is taken out of the environment as it is read: the programs that we start shall not answer for us. A datagram
that systemd does not take within a second is lost; the service has more to do than to tell of itself.

    notify = NotifySocket.from_environment(os.environ)
    notify.ready()
    notify.status("firmware DOWNLOADING")
    notify.alive()                      # each `notify.watchdog_s` / 2 at the latest
    notify.stopping()
"""

import os
import socket
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Final, Self

import structlog

_TIMEOUT_S: Final = 1.0
_LONGEST_STATUS: Final = 256
_SHORTEST_WATCHDOG_S: Final = 0.01  # a loop that keeps a shorter one does nothing else
_LONGEST_WATCHDOG_S: Final = 365 * 86400.0

_log = structlog.get_logger(__name__)


class NotifySocket:
    """Tells the service manager how we are; from any thread.

    Args:
        name: of its socket: a path, or `@` and a name in the kernel's own space; empty: nobody is told.
        watchdog_s: `alive` has to be said at least this often; None: nobody counts.
    """

    def __init__(self, name: str = "", watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s if name else None
        self._address = f"\0{name[1:]}" if name.startswith("@") else name
        self._status = ""

    @classmethod
    def from_environment(cls, environment: MutableMapping[str, str]) -> Self:
        """As `NOTIFY_SOCKET`, `WATCHDOG_USEC` and `WATCHDOG_PID` say, which are taken out of `environment`.

        What makes no sense counts as not there: a wrong word of systemd's is no reason not to serve.
        """
        name, usec, pid = (environment.pop(key, "") for key in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"))
        if not name.startswith(("/", "@")):  # vsock: is for a virtual machine's own systemd
            return cls()
        watchdog_s = 0.0
        with suppress(ValueError, OverflowError):
            watchdog_s = int(usec) / 1e6
        is_meant = pid in {"", str(os.getpid())}
        return cls(name, watchdog_s if is_meant and _SHORTEST_WATCHDOG_S <= watchdog_s <= _LONGEST_WATCHDOG_S else None)

    def ready(self) -> None:
        """We serve from now on; the watchdog counts from here."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """What we are doing, in a line for `systemctl status`; the same text is not sent twice."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={' '.join(text.split())[:_LONGEST_STATUS]}")

    def alive(self) -> None:
        """The loop that does everything still turns."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """We are on our way out."""
        self._send("STOPPING=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ours:
                ours.settimeout(_TIMEOUT_S)
                ours.sendto(message.encode(errors="replace"), self._address)
        except OSError as error:
            _log.warning(f"systemd did not hear {message.partition('=')[0]}: {error.strerror or error}")
