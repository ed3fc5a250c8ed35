"""Looking at what the service has left."""

import hashlib
import io
import tarfile
from datetime import UTC, datetime, timedelta

import pytest

from everest_system.demo.ending import leave_drawing
from everest_system.demo.inspection import InspectionError, Member, look_into, require_active, require_image
from everest_system.demo.station_files import FACTORY_FIRMWARE, StationFiles
from everest_system.diagrams import PictureError

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)
OLDEST = NOW - timedelta(minutes=2)


@pytest.fixture
def files(tmp_path):
    made = StationFiles(tmp_path)
    made.make(NOW)
    (made.slots / "b").mkdir()
    (made.slots / "current").symlink_to("a")
    return made


def archive_of(files, **changed):
    """An archive as the service would make it; `changed` replaces contents, None leaves a member out."""
    contents = {"manifest": b"{}", "everest": None, "messages": None}
    names = {"manifest": "manifest.json", "everest": "everest.log", "messages": "ocpp/messages.log"}
    for key in ("everest", "messages"):
        contents[key] = b"".join((files.logs / names[key]).read_bytes().splitlines(keepends=True)[-3:])
        names[key] = str(files.logs / names[key]).lstrip("/")
    archive = files.uploads / "logs.tar.gz"
    with tarfile.open(archive, "w:gz") as opened:
        for key, content in {**contents, **changed}.items():
            if content is not None:
                member = tarfile.TarInfo(names[key])
                member.size = len(content)
                opened.addfile(member, io.BytesIO(content))
    return archive


def test_an_archive_with_what_was_asked_for(files):
    """The lines from the beginning of the window on, itself included, are found and counted."""
    members = look_into(archive_of(files), files.logs, OLDEST)
    base = str(files.logs).lstrip("/")
    assert members == [Member(f"{base}/everest.log", 3), Member(f"{base}/ocpp/messages.log", 3)]


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"manifest": None}, r"has no manifest\.json"),
        ({"messages": None}, r"logs\.tar\.gz holds \S+everest\.log$"),
        ({"everest": None, "messages": None}, "holds no logs"),
        ({"everest": b"something else"}, r"everest\.log in logs\.tar\.gz is not the part"),
    ],
)
def test_an_archive_with_something_else(files, changed, fault):
    """Whatever is missing, or is not as it should be, is named."""
    with pytest.raises(InspectionError, match=fault):
        look_into(archive_of(files, **changed), files.logs, OLDEST)


def test_an_archive_that_is_none(files):
    """What is no archive at all is told without a traceback."""
    archive = files.uploads / "logs.tar.gz"
    archive.write_bytes(b"not compressed")
    with pytest.raises(InspectionError, match="cannot be opened"):
        look_into(archive, files.logs, OLDEST)


def test_slots(files):
    """A slot has to hold the right image and nothing else, and the right slot has to be active."""
    digest = hashlib.sha256(FACTORY_FIRMWARE).hexdigest()
    require_image(files.slots, "a", digest)
    require_active(files.slots, "a")
    with pytest.raises(InspectionError, match="it holds nothing"):
        require_image(files.slots, "b", digest)
    with pytest.raises(InspectionError, match="slot a is active, not b"):
        require_active(files.slots, "b")
    with pytest.raises(InspectionError, match=f"the image in slot a has SHA-256 {digest}, not 00"):
        require_image(files.slots, "a", "00")
    (files.slots / "a" / ".image.part").touch()
    with pytest.raises(InspectionError, match=r"it holds \.image\.part, image"):
        require_image(files.slots, "a", digest)


def test_a_drawing_without_pictures(files, monkeypatch):
    """Where no picture can be made, its source is left instead."""

    def picture(*_):
        raise PictureError("no pygraphviz")

    monkeypatch.setattr("everest_system.demo.ending.picture", picture)
    drawing = leave_drawing(files, [("UpdateRequested", "ACCEPTED")])
    assert drawing == files.folder / "firmware.dot"
    assert "digraph" in drawing.read_text()
