"""RAUC's service as it looks on a D-Bus, for what the real one here cannot be brought to do: newer releases, odd slots.

    with FakeRauc(bus.address) as rauc:
        rauc.slots["rootfs.1"]["bundle.version"] = "2.0"
        rauc.bundle = {...}                     # what InspectBundle tells; None: it is not there, as before RAUC 1.9
        rauc.refuse("InspectBundle", "already processing a different method", times=1)
        RaucInstaller(bus.address, ...).check(facts)
        rauc.asked("Mark")                      # [("active", "rootfs.1")]

An installation takes no time and ends as `outcome` says: 0 and no words, or 1 and RAUC's words.
"""

from typing import Any

from support.dbus_peers import BusService, ServiceError

from everest_system.io.installers.rauc.service import INTERFACE, NAME

FAILED = "org.gtk.GDBus.UnmappedGError.Quark._g_2dio_2derror_2dquark.Code30"
UNKNOWN_METHOD = "org.freedesktop.DBus.Error.UnknownMethod"

Values = dict[str, str]


def pair() -> dict[str, Values]:
    """Two slots that boot, A booted."""
    common = {"class": "rootfs", "type": "raw"}
    return {
        "rootfs.0": {**common, "bootname": "A", "state": "booted", "boot-status": "good"},
        "rootfs.1": {**common, "bootname": "B", "state": "inactive", "boot-status": "good"},
    }


def told(compatible: str, version: str, images: dict[str, str], *hooks: str) -> dict[str, Any]:
    """What InspectBundle tells of a bundle; the tables in it are variants within variants, as RAUC has them."""

    def text(values: dict[str, str]) -> dict[str, Any]:
        return {name: ("s", value) for name, value in values.items()}

    listed = [text({"slot-class": kind, "checksum": digest}) for kind, digest in images.items()]
    return {
        "update": ("v", ("a{sv}", text({"compatible": compatible, "version": version}))),
        "images": ("v", ("aa{sv}", listed)),
        **({"hooks": ("v", ("a{sv}", {"hooks": ("v", ("as", list(hooks)))}))} if hooks else {}),
    }


class FakeRauc(BusService):
    """RAUC while the context lasts.

    Attributes:
        slots: what GetSlotStatus tells, all of it text.
        bundle: see the module.
        outcome: of an installation.
        primary: the slot that would be booted.
        silent: an installation begins and never ends.
    """

    def __init__(self, address: str, compatible: str = "station") -> None:
        super().__init__(address, NAME, interface=INTERFACE)
        self.slots = pair()
        self.bundle: dict[str, Any] | None = told(compatible, "2.0", {"rootfs": "11"})
        self.outcome: tuple[int, str] = (0, "")
        self.silent = False
        self.primary = "rootfs.0"
        self._refusals: dict[str, list[str]] = {}
        self.properties = {
            "Operation": ("s", "idle"),
            "LastError": ("s", ""),
            "Progress": ("(isi)", (0, "", 0)),
            "Compatible": ("s", compatible),
        }
        self.do("GetSlotStatus", self._status)
        self.do("InspectBundle", self._inspect)
        self.do("Info", self._info)
        self.do("InstallBundle", self._install)
        self.do("GetPrimary", lambda: self._or_refuse("GetPrimary", "s", self.primary))
        self.do("Mark", lambda _state, slot: self._or_refuse("Mark", "ss", slot, "marked"))

    def refuse(self, method: str, words: str, times: int = 1_000_000) -> None:
        """Let a method fail with these words, so many times."""
        self._refusals[method] = [words] * times

    def asked(self, method: str) -> list[tuple[Any, ...]]:
        """The values of each call of a method."""
        return [values for name, values in self.calls if name == method]

    def _or_refuse(self, method: str, signature: str = "", *values: Any) -> tuple[str, tuple[Any, ...]]:
        if self._refusals.get(method):
            raise ServiceError(FAILED, self._refusals[method].pop())
        return signature, values

    def _status(self) -> tuple[str, tuple[Any, ...]]:
        slots = [(name, {key: ("s", value) for key, value in values.items()}) for name, values in self.slots.items()]
        return self._or_refuse("GetSlotStatus", "a(sa{sv})", slots)

    def _inspect(self, _source: str, _args: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
        if self.bundle is None:
            raise ServiceError(UNKNOWN_METHOD, "no such method")
        return self._or_refuse("InspectBundle", "a{sv}", self.bundle)

    def _info(self, _source: str) -> tuple[str, tuple[Any, ...]]:
        return self._or_refuse("Info", "ss", "station", "2.0")

    def _install(self, _source: str, _args: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
        answer = self._or_refuse("InstallBundle")
        if not self.silent:
            code, words = self.outcome
            self.properties["LastError"] = ("s", words)
            self.after_answer = lambda: self.say("Completed", "i", code)
        return answer
