"""Firmware installed for real: RAUC's own service, real bundles, two slots in files."""

import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support.machine_time import machine_time
from support.rauc_station import COMPATIBLE, RaucStation

from everest_system.fsm.errors import CanceledError
from everest_system.io.installers.port import Activation, BadSignatureError, Facts, InstallError, UnfitError
from everest_system.io.installers.rauc.installer import RaucInstaller
from everest_system.io.installers.rauc.service import rauc_service

NEVER = threading.Event()
NEW = b"new firmware " * 1000
DEADLINE_S = 20.0


@pytest.fixture
def station(tmp_path: Path) -> Iterator[RaucStation]:
    """A station that runs from slot A."""
    with RaucStation(tmp_path) as station:
        yield station


def installer(station: RaucStation, **more: Any) -> RaucInstaller:
    """The installer on that station's bus."""
    settings = {"busy_timeout_s": 20.0, "timeout_s": 60.0, "allow_downgrade": True}
    return RaucInstaller(station.address, **{**settings, **more})


def facts(bundle: Path) -> Facts:
    """What is known of a downloaded bundle."""
    return Facts(bundle, "https://example.org/fw", 1, "system_api", sha256(bundle.read_bytes()).hexdigest())


def cut(bundle: Path) -> Path:
    """The first half of a bundle, as a download that broke off would be."""
    found = bundle.with_suffix(".cut")
    found.write_bytes(bundle.read_bytes()[: bundle.stat().st_size // 2])
    return found


def changed(bundle: Path) -> Path:
    """A bundle with other bytes under its signature."""
    data = bytearray(bundle.read_bytes())
    data[200] ^= 0xFF
    found = bundle.with_suffix(".changed")
    found.write_bytes(data)
    return found


def install(on: RaucInstaller, of: Facts, target: str) -> list[int]:
    """Install; the percents that were told."""
    told: list[int] = []
    on.install(of, target, canceled=NEVER, on_progress=told.append)
    return told


@pytest.mark.parametrize("activates", [True, False])
def test_update_from_check_to_the_good_mark(tmp_path: Path, activates: bool) -> None:
    """A good bundle goes into the other slot, boots, and is kept, whoever activates it, RAUC or we."""
    with RaucStation(tmp_path, activate_installed=activates) as station:
        rauc, update = installer(station), facts(station.bundle("2.0", image=NEW))
        assert rauc.verifies_signatures
        target = rauc.check(update)
        assert (target, station.slot_status(target), station.content("B", 3)) == ("rootfs.1", {}, bytes(3))

        told = install(rauc, update, target)
        assert told
        assert told[-1] == 100
        assert station.content("B", len(NEW)) == NEW
        assert station.primary == ("B" if activates else "A")
        assert rauc.activate(update, target) is Activation.REBOOT
        assert rauc.activate(update, target) is Activation.REBOOT
        assert (station.primary, station.booted) == ("B", "A")
        assert not any(station.content("A", len(NEW)))

        station.give_up("B")  # as boot loaders do that count down until the firmware has proved itself
        station.booted = "B"
        station.kill()
        station.start()
        assert rauc.confirm(target)
        assert station.state("B") == "bad"
        rauc.mark_good(target)
        rauc.mark_good(target)
        assert (station.primary, station.state("B"), station.state("A")) == ("B", "good", "good")
        assert station.slot_status(target)["bundle.version"] == "2.0"
        assert rauc.check(update) == "rootfs.0"


def test_unhealthy_firmware_is_left(station: RaucStation) -> None:
    """Rolling back makes the old slot active and the new one bad, each time it is asked."""
    rauc, update = installer(station), facts(station.bundle("2.0"))
    target = rauc.check(update)
    install(rauc, update, target)
    rauc.activate(update, target)
    station.boot()
    assert (station.booted, rauc.confirm(target)) == ("B", True)
    for _ in range(2):
        assert rauc.roll_back(target) is Activation.REBOOT
        assert (station.primary, station.state("A"), station.state("B")) == ("A", "good", "bad")
    station.boot()
    assert station.booted == "A"
    assert rauc.roll_back(target) is Activation.REBOOT
    assert (station.primary, station.state("B")) == ("A", "bad")


def test_firmware_that_never_came_up(station: RaucStation) -> None:
    """Where the boot loader has gone back by itself, the new slot is not confirmed, and not tried again."""
    rauc, update = installer(station), facts(station.bundle("2.0"))
    target = rauc.check(update)
    install(rauc, update, target)
    rauc.activate(update, target)
    station.give_up("B")
    station.boot()
    station._keep("state-B", "good")  # many count anew once all have failed
    assert not rauc.confirm(target)
    assert (station.booted, station.primary, station.state("B")) == ("A", "A", "bad")
    station.break_boot_loader("set-state")
    assert not rauc.confirm(target)


def test_bundles_that_are_refused_before_anything_is_installed(station: RaucStation) -> None:
    """What was signed by others, was changed, was cut off, or is for another station never gets past the check."""
    good = station.bundle("2.0")
    junk, nothing = station.folder / "junk", station.folder / "nothing"
    junk.write_bytes(b"firmware" * 10_000)
    nothing.touch()
    foreign, verity = (station.bundle("2.0", signer=station.foreign, format_=kind) for kind in ("plain", "verity"))
    rauc = installer(station)
    for bundle, kind, words in (
        (foreign, BadSignatureError, "signature"),
        (verity, BadSignatureError, "signature"),
        (changed(good), BadSignatureError, "signature"),
        (cut(good), UnfitError, "broken, or cut off|Invalid bundle format"),
        (junk, UnfitError, "broken, or cut off|Invalid bundle format"),
        (nothing, UnfitError, "broken, or cut off|Invalid bundle format"),
        (station.bundle("2.0", compatible="toaster"), UnfitError, f"for 'toaster', and this station is '{COMPATIBLE}'"),
    ):
        with pytest.raises(kind, match=words):
            rauc.check(facts(bundle))
    assert (station.primary, station.state("B"), station.slot_status("rootfs.1")) == ("A", "good", {})
    assert rauc.check(facts(station.bundle("2.0", format_="verity"))) == "rootfs.1"
    with pytest.raises(InstallError, match=r"cannot be read: .*missing: No such file|Failed to open bundle"):
        rauc.check(Facts(station.folder / "missing", "", 1, "", ""))


def test_bundles_that_rauc_itself_refuses(station: RaucStation) -> None:
    """RAUC's own words while it installs end in the same errors, and it is idle again after each."""
    good = station.bundle("2.0")
    rauc = installer(station)
    for bundle, kind, words in (
        (station.bundle("2.0", signer=station.foreign), BadSignatureError, "signature verification failed"),
        (station.bundle("2.0", signer=station.foreign, format_="verity"), BadSignatureError, "verification failed"),
        (changed(good), BadSignatureError, "signature verification failed"),
        (cut(good), UnfitError, "Invalid bundle format"),
        (station.bundle("2.0", compatible="toaster"), UnfitError, "Compatible mismatch"),
        (station.bundle("2.0", hook="echo no, thanks >&2\nexit 10"), UnfitError, "Bundle rejected"),
        (station.folder / "missing", InstallError, "Failed to open bundle"),
    ):
        told: list[int] = []
        with pytest.raises(kind, match=words):
            rauc.install(Facts(bundle, "", 1, "", ""), "rootfs.1", canceled=NEVER, on_progress=told.append)
    slot = station.folder / "b.img"
    slot.unlink()
    with pytest.raises(InstallError, match=r"Destination device '.*' not found"):
        install(rauc, facts(good), "rootfs.1")
    slot.touch()
    install(rauc, facts(good), "rootfs.1")
    station.break_boot_loader("set-primary")
    with pytest.raises(InstallError, match="bootable"):
        install(rauc, facts(good), "rootfs.1")
    with pytest.raises(InstallError, match=r"failed to activate slot rootfs\.1"):
        rauc.activate(facts(good), "rootfs.1")
    station.break_boot_loader("set-state")
    with pytest.raises(InstallError, match=r"Failed marking slot rootfs\.1 as good"):
        rauc.mark_good("rootfs.1")


def test_failure_behind_the_activation(tmp_path: Path) -> None:
    """Where RAUC fails when the new slot is active already, the old one is made active again."""
    with RaucStation(tmp_path, handlers="post-install=/bin/false") as station:
        rauc, update = installer(station), facts(station.bundle("2.0", image=NEW))
        with pytest.raises(InstallError, match="Post-install handler error"):
            install(rauc, update, rauc.check(update))
        assert station.content("B", len(NEW)) == NEW
        assert (station.primary, station.state("A"), station.state("B")) == ("A", "good", "bad")


def test_older_firmware(station: RaucStation) -> None:
    """Where downgrades are not allowed, a bundle is held to the version that is booted, and has to have one."""
    rauc = installer(station)
    update = facts(station.bundle("2.1"))
    install(rauc, update, rauc.check(update))
    station.boot()
    strict = installer(station, allow_downgrade=False)
    older, unversioned = facts(station.bundle("2.0")), facts(station.bundle("jolly fox"))
    assert strict.check(facts(station.bundle("2.1"))) == "rootfs.0"
    with pytest.raises(UnfitError, match=r"version 2\.0, older than 2\.1, which is booted"):
        strict.check(older)
    with pytest.raises(UnfitError, match=r"'jolly fox' is no version.*allow_downgrade"):
        strict.check(unversioned)
    assert rauc.check(older) == rauc.check(unversioned) == "rootfs.0"


def test_first_firmware_has_no_version(station: RaucStation) -> None:
    """A slot that RAUC has never written has no version, and lets any bundle pass that has one."""
    assert installer(station, allow_downgrade=False).check(facts(station.bundle("0.1"))) == "rootfs.1"


class Held:
    """A bundle whose installation goes on until it is let go."""

    def __init__(self, station: RaucStation, version: str = "9.9", image: bytes = b"held") -> None:
        begun, go = station.folder / "begun", station.folder / "go"
        hook = f"touch {begun}\nuntil [ -e {go} ]; do sleep 0.02; done\n"
        self._begun, self._go = begun, go
        self.bundle = station.bundle(version, image=image, hook=hook)

    def wait(self) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not self._begun.exists():
            assert time.monotonic() < deadline, "the installation did not begin"
            time.sleep(0.01)  # there is no event to wait for

    def let_go(self) -> None:
        self._go.touch()


@pytest.fixture
def held(station: RaucStation) -> Held:
    """A bundle of that kind."""
    return Held(station)


def test_somebody_elses_installation_is_waited_for(station: RaucStation, held: Held) -> None:
    """What RAUC does for somebody else is waited for, and then our own work is done."""
    rauc, update = installer(station), facts(station.bundle("2.0", image=NEW))
    other = station.installs_elsewhere(held.bundle)
    held.wait()
    canceled = threading.Event()
    threading.Timer(0.2, canceled.set).start()
    with pytest.raises(CanceledError):
        rauc.check(update, canceled=canceled)
    threading.Timer(0.3, held.let_go).start()
    assert rauc.check(update) == "rootfs.1"
    assert other.wait(DEADLINE_S) == 0
    install(rauc, update, "rootfs.1")
    assert station.content("B", len(NEW)) == NEW


def test_somebody_elses_installation_that_takes_too_long(station: RaucStation, held: Held) -> None:
    """Whoever keeps RAUC busy for too long is named, and nothing of ours is begun."""
    rauc, update = installer(station, busy_timeout_s=0.2), facts(station.bundle("2.0", image=NEW))
    other = station.installs_elsewhere(held.bundle)
    held.wait()
    for work in (
        lambda: rauc.check(update),
        lambda: install(rauc, update, "rootfs.1"),
        lambda: rauc.mark_good("rootfs.0"),
        lambda: rauc.roll_back("rootfs.1"),
    ):
        with pytest.raises(InstallError, match=r"busy for somebody else after 0\.2 s: installing"):
            work()
    held.let_go()
    assert other.wait(DEADLINE_S) == 0
    assert station.content("B", 4) == b"held"


def test_cancel_before_and_after_the_point_of_no_return(station: RaucStation, held: Held) -> None:
    """Before RAUC has begun, a cancel leaves everything as it was; afterwards it ends our waiting, and RAUC goes on."""
    rauc, update = installer(station), facts(held.bundle)
    canceled = threading.Event()
    canceled.set()
    with pytest.raises(CanceledError):
        rauc.check(update, canceled=canceled)
    with pytest.raises(CanceledError):
        rauc.install(update, "rootfs.1", canceled=canceled, on_progress=print)
    assert station.state("B") == "good"

    canceled.clear()
    caught: list[BaseException] = []

    def work() -> None:
        try:
            rauc.install(update, "rootfs.1", canceled=canceled, on_progress=lambda _: None)
        except CanceledError as error:
            caught.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    held.wait()
    begun = machine_time()
    canceled.set()
    worker.join(DEADLINE_S)
    assert caught
    assert machine_time() - begun < 1.2  # 0.2 s, and what RAUC takes
    held.let_go()
    told: list[int] = []
    rauc.resume(update, "rootfs.1", canceled=NEVER, on_progress=told.append)
    assert told[-1] == 100
    assert station.content("B", 4) == b"held"


def test_installation_that_takes_too_long(station: RaucStation, held: Held) -> None:
    """RAUC is given up when its time is over, with the word that it still tries; so it is in a resume."""
    rauc, update = installer(station, timeout_s=0.3, busy_timeout_s=0.2), facts(held.bundle)
    with pytest.raises(InstallError, match=r"within 0\.3 s, and still tries"):
        install(rauc, update, "rootfs.1")
    with pytest.raises(InstallError, match=r"still busy after 0\.3 s: installing"):
        rauc.resume(update, "rootfs.1", canceled=NEVER, on_progress=lambda _: None)
    held.let_go()


def test_rauc_that_dies_in_the_middle(station: RaucStation, held: Held) -> None:
    """A RAUC that ends while it installs has not installed, also when another one is there at once."""
    rauc, update = installer(station), facts(held.bundle)
    errors: list[str] = []

    def work() -> None:
        try:
            install(rauc, update, "rootfs.1")
        except InstallError as error:
            errors.append(str(error))

    worker = threading.Thread(target=work)
    worker.start()
    held.wait()
    station.kill()
    held.let_go()
    station.start()
    worker.join(DEADLINE_S)
    assert len(errors) == 1
    assert "the name" in errors[0].lower()
    rauc.resume(update, "rootfs.1", canceled=NEVER, on_progress=lambda _: None)
    assert station.content("B", 4) == b"held"


def test_resume_after_a_power_cut_behind_the_activation(station: RaucStation) -> None:
    """What booted from the target is kept if it is the bundle's; the slot that was good is never written to."""
    rauc, update = installer(station), facts(station.bundle("2.0", image=NEW))
    install(rauc, update, rauc.check(update))
    station.boot()
    rauc.resume(update, "rootfs.1", canceled=NEVER, on_progress=lambda _: None)
    with pytest.raises(InstallError, match=r"rootfs\.1 is booted, and the firmware in it is not the bundle's"):
        rauc.resume(facts(station.bundle("3.0")), "rootfs.1", canceled=NEVER, on_progress=lambda _: None)
    with pytest.raises(InstallError, match=r"RAUC would write to rootfs\.0, and the firmware was to go to rootfs\.1"):
        install(rauc, update, "rootfs.1")
    assert not any(station.content("A", 100))


def test_slots_that_are_not_there(station: RaucStation) -> None:
    """A slot that RAUC does not know is told as that."""
    rauc = installer(station)
    with pytest.raises(InstallError, match=r"RAUC has no slot 'kernel\.7'"):
        rauc.roll_back("kernel.7")


def test_no_rauc(station: RaucStation, tmp_path: Path) -> None:
    """A bus without RAUC, and no bus at all, are told in so many words."""
    update = facts(station.bundle("2.0"))
    station.kill()
    with pytest.raises(InstallError, match=r"^RAUC on the unix:path=.* bus: .*de\.pengutronix\.rauc"):
        installer(station).check(update)
    nowhere = RaucInstaller("unix:path=/nowhere", busy_timeout_s=1, timeout_s=1, allow_downgrade=True)
    with pytest.raises(InstallError, match="cannot be reached: No such file or directory"):
        nowhere.check(update)


def test_what_rauc_says_of_itself(station: RaucStation) -> None:
    """An idle RAUC says so, what it is for, and which slot is booted."""
    with rauc_service(station.address, canceled=NEVER, busy_timeout_s=5) as service:
        status = service.status()
        assert (status.operation, status.compatible, status.last_error) == ("idle", COMPATIBLE, "")
        assert service.slots().booted.name == "rootfs.0"
