"""The `rauc` installer beside releases and stations that are not at hand: what it asks, what it makes of the answer."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.dbus_peers import PrivateBus
from support.fake_rauc import FakeRauc, told
from support.machine_time import machine_time

from everest_system.io.installers.port import BadSignatureError, Facts, InstallError, UnfitError
from everest_system.io.installers.rauc.bundle import Bundle, ends_in_signature
from everest_system.io.installers.rauc.installer import RaucInstaller
from everest_system.io.installers.rauc.service import IDLE

NEVER = threading.Event()
BUSY = "already processing a different method"
NO_WORDS = "rauc info error"


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateBus]:
    """A real bus of our own."""
    with PrivateBus(tmp_path_factory.mktemp("bus")) as bus:
        yield bus


@pytest.fixture
def rauc(daemon: PrivateBus) -> Iterator[FakeRauc]:
    """RAUC, as a newer release."""
    with FakeRauc(daemon.address) as rauc:
        yield rauc


@pytest.fixture
def installer(daemon: PrivateBus) -> RaucInstaller:
    """The installer on that bus."""
    return RaucInstaller(daemon.address, busy_timeout_s=10, timeout_s=10, allow_downgrade=True)


@pytest.fixture
def facts(tmp_path: Path) -> Facts:
    """A file that nobody looks into."""
    file = tmp_path / "fw.raucb"
    file.write_bytes(b"bundle")
    return Facts(file, "https://example.org/fw", 1, "system_api", "")


def install(installer: RaucInstaller, facts: Facts, *, again: bool = False) -> list[int]:
    """Install, or resume; the percents told."""
    percents: list[int] = []
    call = installer.resume if again else installer.install
    call(facts, "rootfs.1", canceled=NEVER, on_progress=percents.append)
    return percents


def test_newer_release_is_asked_by_its_newer_method(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """Where InspectBundle is there, it is asked, and Info is not."""
    assert installer.check(facts) == "rootfs.1"
    assert rauc.asked("InspectBundle") == [(str(facts.artifact), {})]
    assert rauc.asked("Info") == []


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("signature verification failed: Verify error: self-signed certificate", BadSignatureError),
        ("Invalid bundle format: Signature size is 0", UnfitError),
        ("No keyring file or directory provided", InstallError),
    ],
)
def test_newer_release_says_why(
    rauc: FakeRauc, installer: RaucInstaller, facts: Facts, words: str, kind: type[Exception]
) -> None:
    """What a newer RAUC refuses is judged by its words."""
    rauc.refuse("InspectBundle", words)
    with pytest.raises(kind, match=words):
        installer.check(facts)


def test_bundle_for_another_station(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """What a bundle is for is compared, unless it brings along what judges that itself."""
    rauc.bundle = told("toaster", "2.0", {})
    with pytest.raises(UnfitError, match="for 'toaster', and this station is 'station'"):
        installer.check(facts)
    rauc.bundle = told("toaster", "2.0", {}, "install-check")
    assert installer.check(facts) == "rootfs.1"


def test_answer_that_nobody_expects(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """What InspectBundle leaves out, or tells otherwise, is not known; it does no harm."""
    rauc.bundle = {"update": ("s", "?"), "images": ("s", "?")}
    with pytest.raises(UnfitError, match="for ''"):
        installer.check(facts)
    assert Bundle.of_inspection({}) == Bundle("", "")
    nonsense = {"images": ("aas", [["x"], 7]), "hooks": ("a{sv}", {"hooks": ("u", 7)})}
    assert Bundle.of_inspection(nonsense) == Bundle("", "")


@pytest.mark.parametrize("method", ["InspectBundle", "GetSlotStatus"])
def test_somebody_quicker(rauc: FakeRauc, installer: RaucInstaller, facts: Facts, method: str) -> None:
    """A call that somebody else's got in the way of is made again."""
    rauc.refuse(method, BUSY, times=3)
    assert installer.check(facts) == "rootfs.1"
    assert len(rauc.asked(method)) == 4


@pytest.mark.parametrize("method", ["InspectBundle", "Info"])
def test_somebody_always_quicker(daemon: PrivateBus, rauc: FakeRauc, facts: Facts, method: str) -> None:
    """A RAUC that is never free when we come is given up; the bundle is not blamed, also where RAUC says nothing."""
    impatient = RaucInstaller(daemon.address, busy_timeout_s=0.3, timeout_s=1, allow_downgrade=True)
    facts.artifact.write_bytes(signed(100))
    if method == "Info":
        rauc.bundle = None
        answer = rauc._info
        rauc.do("Info", lambda source: (rauc.say("Completed", "i", 0), answer(source))[1])
    rauc.refuse(method, BUSY if method == "InspectBundle" else NO_WORDS)
    with pytest.raises(InstallError, match=r"RAUC is still busy for somebody else after 0\.3 s"):
        impatient.check(facts)
    assert len(rauc.asked(method)) > 1


def test_somebody_quicker_with_an_older_release(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """RAUC 1.8 does not say that it was busy: what it did meanwhile tells, and a bundle is not blamed for that."""
    rauc.bundle = None
    rauc.refuse("Info", NO_WORDS, times=2)
    answer = rauc._info

    def somebody_else(source: str) -> tuple[str, tuple[Any, ...]]:
        if len(rauc.asked("Info")) == 1:
            rauc.say("Completed", "i", 0)  # it was done before we could look
        elif len(rauc.asked("Info")) == 2:
            rauc.properties["Operation"] = ("s", "installing")
            threading.Timer(0.1, rauc.properties.update, [{"Operation": ("s", IDLE)}]).start()
        return answer(source)

    rauc.do("Info", somebody_else)
    assert installer.check(facts) == "rootfs.1"
    assert len(rauc.asked("Info")) == 3


def test_older_release_with_words(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """What Info says in words is judged by them."""
    rauc.bundle = None
    rauc.refuse("Info", "Invalid bundle format: Signature size is 0")
    with pytest.raises(UnfitError, match="Signature size is 0"):
        installer.check(facts)


def signed(size: int, *, behind: bytes = b"", blocks: bytes = bytes(4096)) -> bytes:
    """A file that ends as a bundle does, with a signature of `size` bytes inside its head."""
    head = bytes([0x30, size]) if size < 0x80 else b"\x30\x82" + size.to_bytes(2, "big")
    signature = head + bytes(size) + behind
    return blocks + signature + len(signature).to_bytes(8, "big")


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (signed(100), True),
        (signed(1000), True),
        (signed(100, behind=b"!"), False),
        (signed(100, blocks=bytes(4095)), False),
        (signed(100)[:-1], False),
        (signed(65_000, blocks=bytes(8192)), True),
        (bytes(4096) + b"\x30" + (1).to_bytes(8, "big"), False),
        (bytes(4096) + b"\x04\x01!" + (3).to_bytes(8, "big"), False),
        (bytes(4096) + bytes(8), False),
        (bytes(8), False),
        (b"", False),
    ],
)
def test_older_release_does_not_say_why(
    rauc: FakeRauc, installer: RaucInstaller, facts: Facts, content: bytes, whole: bool
) -> None:
    """Where RAUC 1.8 only says no, a file that ends as a bundle does has a bad signature; any other is no bundle."""
    rauc.bundle = None
    rauc.refuse("Info", NO_WORDS)
    facts.artifact.write_bytes(content)
    assert ends_in_signature(facts.artifact) is whole
    with pytest.raises(BadSignatureError if whole else UnfitError):
        installer.check(facts)


def test_stations_without_a_pair(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """Where no slot is booted, or not exactly one is beside it, there is no target."""
    del rauc.slots["rootfs.1"]
    with pytest.raises(InstallError, match=r"RAUC has 0 slots beside rootfs\.0"):
        installer.check(facts)
    rauc.slots["rootfs.1"] = rauc.slots["rootfs.2"] = {"class": "rootfs", "bootname": "B", "state": "inactive"}
    with pytest.raises(InstallError, match=r"RAUC has 2 slots beside rootfs\.0"):
        installer.check(facts)
    rauc.slots["rootfs.0"]["state"] = "inactive"
    with pytest.raises(InstallError, match="does not know which slot is booted"):
        installer.check(facts)


def test_failure_that_is_told(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """An installation that fails ends with RAUC's words, or with the word that there are none."""
    rauc.outcome = (1, "Installation error: Compatible mismatch: Expected 'a' but bundle manifest has 'b'")
    with pytest.raises(UnfitError, match="Compatible mismatch"):
        install(installer, facts)
    rauc.outcome = (1, "")
    with pytest.raises(InstallError, match="does not say why"):
        install(installer, facts)


def test_failure_that_cannot_be_taken_back(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """A failed installation is told as RAUC said it, also where its slot cannot be left."""
    rauc.outcome, rauc.primary = (1, "Post-install handler error: …"), "rootfs.1"
    rauc.refuse("Mark", "failed to activate slot rootfs.0")
    with pytest.raises(InstallError, match="Post-install"):
        install(installer, facts)
    assert rauc.asked("Mark") == [("active", "rootfs.0")]


def test_progress(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """RAUC's percent is told as it changes; what it says of other things is not."""
    answer = rauc._install

    def begin(source: str, args: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
        found = answer(source, args)
        end = rauc.after_answer
        properties = ("org.freedesktop.DBus.Properties", "PropertiesChanged")

        def talk() -> None:
            for changed in ({"Progress": ("(isi)", (40, "", 1))}, {"LastError": ("s", "")}):
                rauc.say_as(*properties, "sa{sv}as", "de.pengutronix.rauc.Installer", changed, [])
            rauc.say_as(*properties, "sa{sv}as", "org.example.Other", {"Progress": ("(isi)", (66, "", 1))}, [])
            assert end
            end()

        rauc.after_answer = talk
        return found

    rauc.do("InstallBundle", begin)
    assert install(installer, facts) == [40]


def test_rauc_that_never_ends(daemon: PrivateBus, rauc: FakeRauc, facts: Facts) -> None:
    """An installation without an end is asked about, and given up when its time is over."""
    rauc.silent = True
    rauc.properties["Progress"] = ("(isi)", (140, "", 0))
    impatient = RaucInstaller(daemon.address, busy_timeout_s=1, timeout_s=1.5, allow_downgrade=True)
    percents: list[int] = []
    begun = machine_time()
    with pytest.raises(InstallError, match=r"within 1\.5 s"):
        impatient.install(facts, "rootfs.1", canceled=NEVER, on_progress=percents.append)
    assert set(percents) == {100}
    assert machine_time() - begun < 5


@pytest.mark.parametrize(
    ("changes", "again"),
    [
        ({}, False),
        ({"status": "update"}, True),
        ({"sha256": "12"}, True),
        ({"bundle.version": "1.0"}, False),  # the digests say what is in it, words do not
    ],
)
def test_resume_keeps_what_is_there(
    rauc: FakeRauc, installer: RaucInstaller, facts: Facts, changes: dict[str, str], again: bool
) -> None:
    """After a crash, a target with the bundle's images in it is kept; any other is written again."""
    rauc.slots["rootfs.1"] |= {"status": "ok", "sha256": "11", "bundle.version": "2.0", **changes}
    assert install(installer, facts, again=True)[-1] == 100
    assert bool(rauc.asked("InstallBundle")) is again


@pytest.mark.parametrize(("digest", "again"), [("22", False), ("23", True), (None, True)])
def test_resume_looks_at_all_that_belongs_together(
    rauc: FakeRauc, installer: RaucInstaller, facts: Facts, digest: str | None, again: bool
) -> None:
    """A bundle of several images is there only when each of them is, in the target or what belongs to it."""
    rauc.bundle = told("station", "2.0", {"rootfs": "11", "apps": "22"})
    rauc.slots["rootfs.1"] |= {"status": "ok", "sha256": "11"}
    rauc.slots["apps.0"] = {"class": "apps", "parent": "rootfs.0", "status": "ok", "sha256": "22", "state": "booted"}
    if digest:
        rauc.slots["apps.1"] = {"class": "apps", "parent": "rootfs.1", "status": "ok", "sha256": digest}
    install(installer, facts, again=True)
    assert bool(rauc.asked("InstallBundle")) is again


def test_resume_in_the_new_firmware(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """What is booted from the target is never written to; it is the bundle's, by its digests too, or a failure."""
    rauc.slots["rootfs.0"]["state"], rauc.slots["rootfs.1"]["state"] = "inactive", "booted"
    rauc.slots["rootfs.1"] |= {"status": "ok", "sha256": "11", "bundle.version": "2.0", "bundle.compatible": "station"}
    assert install(installer, facts, again=True) == [100]
    rauc.slots["rootfs.1"]["sha256"] = "12"
    with pytest.raises(InstallError, match=r"rootfs\.1 is booted, and the firmware in it is not the bundle's"):
        install(installer, facts, again=True)
    assert rauc.asked("InstallBundle") == []


def test_resume_while_rauc_is_at_it(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """What RAUC has gone on with without us is waited for, with its progress."""
    rauc.slots["rootfs.1"] |= {"status": "ok", "sha256": "11"}
    rauc.properties |= {"Operation": ("s", "installing"), "Progress": ("(isi)", (70, "", 0))}
    threading.Timer(0.2, rauc.properties.update, [{"Operation": ("s", IDLE)}]).start()
    assert install(installer, facts, again=True) == [70, 100]
    assert rauc.asked("InstallBundle") == []


def test_marks(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """Each end of an update is in RAUC's books."""
    installer.activate(facts, "rootfs.1")
    installer.mark_good("rootfs.1")
    installer.roll_back("rootfs.1")
    assert not installer.confirm("rootfs.1")
    back = [("active", "rootfs.0"), ("bad", "rootfs.1")]
    assert rauc.asked("Mark") == [("active", "rootfs.1"), ("good", "rootfs.1"), *back, *back]


def test_vanished(rauc: FakeRauc, installer: RaucInstaller, facts: Facts) -> None:
    """A RAUC that ends while it is asked is told as that."""
    rauc.do("InstallBundle", lambda *_: rauc.hang_up())
    with pytest.raises(InstallError, match=r"RAUC on the .* bus"):
        install(installer, facts)


def test_library_that_is_not_there(monkeypatch: pytest.MonkeyPatch, installer: RaucInstaller, facts: Facts) -> None:
    """Without the D-Bus library, the word is which package brings it."""
    monkeypatch.setitem(sys.modules, "jeepney", None)
    with pytest.raises(InstallError, match=r"jeepney is not installed: it comes with everest-system\[rauc\]"):
        installer.check(facts)
