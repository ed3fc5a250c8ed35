"""Archives of firmware through the whole service, made as docs/slots.md says."""

import hashlib
import re
import subprocess
from pathlib import Path

from support.archives import entry, firmware, manifest, tar
from support.http_server import File
from support.peers import program, require
from support.stations import Station, words

from everest_system.io.installers.unpacking import manifest_of

FILES = {"bin/app": b"#!/bin/sh\necho charging\n", "etc/app.conf": b"power = 50\n"}
GOOD = ["Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"]


def update(station: Station, everest, request_id: int, content: bytes, end: str) -> list[str]:
    """Serve firmware, ask for it with its signature, and return the statuses up to the end."""
    station.http.files["/fw.bin"] = File(content)
    request = {
        "location": station.http.url("/fw.bin"),
        "request_id": request_id,
        **station.maker.signed(content),
    }
    assert everest.call("update_firmware", request) == "Accepted"
    everest.wait_for(end, request_id)
    return words(everest, request_id)


def test_updates_by_archive(station: Station):
    """Archives are verified, unpacked and activated; an older one, one for another station and a bad one are not."""
    wanted = {"slots": {"manifest": "required", "compatible": "acme-dc-50"}, "allow_downgrade": False}
    service, everest = station.both({"firmware": wanted})
    slots = service.state_dir / "slots"

    def made(version: str, compatible: str = "acme-dc-50", packing: str = "zst") -> bytes:
        return firmware(FILES, packing, version=version, compatible=compatible)

    assert update(station, everest, 1, made("2.0.0-rc.1"), "Installed") == GOOD
    assert (slots / "current").readlink() == Path("b")
    assert (slots / "current/bin/app").read_bytes() == FILES["bin/app"]
    assert update(station, everest, 2, made("2.0.0", packing="xz"), "Installed") == GOOD
    assert (slots / "current").readlink() == Path("a")

    unfit = [*GOOD[:-1], "InstallVerificationFailed"]
    outside = tar([manifest(FILES, version="3", compatible="acme-dc-50"), entry("../../state.db", b"x")])
    for request_id, content, reason in (
        (3, made("1.9"), "the firmware is version 1.9, older than 2.0.0, which is active"),
        (4, made("3.0", "acme-ac-22"), "the firmware is for 'acme-ac-22', and this station is 'acme-dc-50'"),
        (5, b"an image", "the firmware has no manifest, and firmware.slots.manifest requires one"),
        (6, outside, "the archive's member '../../state.db' has a"),
    ):
        assert update(station, everest, request_id, content, "InstallVerificationFailed") == unfit
        assert any(reason in str(value) for line in service.lines("") for value in line.values()), reason
    assert (slots / "current").readlink() == Path("a")
    assert (slots / "a/bin/app").read_bytes() == FILES["bin/app"]

    assert update(station, everest, 7, made("2.0.0", packing="gz"), "Installed") == GOOD
    assert (slots / "current").readlink() == Path("b")


def test_connectors_that_stay_in_service(station: Station):
    """By the manifest or by the location: EVerest is told with the statuses, permits nothing, and is not waited for."""
    service, everest = station.both({"firmware": {"unsigned": "accept"}})
    station.http.files["/fw.bin"] = File(firmware(FILES, disable_connectors_during_install=False))
    station.http.files["/fw.img"] = File(b"an image")
    fragment = "#disable_connectors_during_install=false"
    for request_id, location in ((1, "/fw.bin"), (2, f"/fw.img{fragment}")):
        everest.call("update_firmware", {"location": station.http.url(location), "request_id": request_id})
        everest.wait_for("Installed", request_id)
    told = [(each.request_id, each.word) for each in everest.statuses if not each.disable_connectors]
    assert told == [(1, "Downloaded"), (2, "Downloaded")]
    assert "cause': 'PermissionGiven'" not in str(service.log)
    assert [request.path for request in station.http.requests] == ["/fw.bin", "/fw.img"]
    assert fragment.encode() not in (service.state_dir / "state.db").read_bytes()
    assert update(station, everest, 3, firmware(FILES, disable_connectors_during_install=False), "Installed") == GOOD
    told = [each.word for each in everest.statuses if each.request_id == 3 and not each.disable_connectors]
    assert told == ["SignatureVerified"]  # of signed firmware nothing is believed before


def test_an_archive_made_as_the_documentation_says(station: Station, tmp_path: Path):
    """The commands of docs/slots.md make an archive that is installed."""
    for tool in ("jq", "zstd"):
        require(tool, program(tool), "making an archive as docs/slots.md says")
    page = (Path(__file__).parents[2] / "docs" / "slots.md").read_text()
    commands = re.search(r"```sh\n(.*?)```", page, re.DOTALL)
    tree = tmp_path / "work" / "tree"
    for path, content in FILES.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    (tree / "bin/link").symlink_to("app")
    subprocess.run(["/bin/sh", "-euc", commands[1]], cwd=tree.parent, check=True)
    made = tree.parent / "firmware.tar.zst"
    found = manifest_of(made)
    assert (str(found.version), found.compatible) == ("2.4.1", "acme-dc-50")
    assert found.files == {path: hashlib.sha256(content).hexdigest() for path, content in FILES.items()}

    service, everest = station.both({"firmware": {"slots": {"manifest": "required"}}})
    assert update(station, everest, 1, made.read_bytes(), "Installed") == GOOD
    assert (service.state_dir / "slots/current/bin/link").read_bytes() == FILES["bin/app"]
