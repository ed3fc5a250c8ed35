"""Scenarios: what is wrong with them, and what did not come out as they say."""

from pathlib import Path
from typing import Any

import pytest

from everest_system.simulation import ScenarioError, load, parse, run

STEP = {"at": "1s", "everest": "get_boot_reason"}


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        ({}, "s.toml: title: Field required"),
        ({"titel": "x"}, "s.toml: titel: unknown key"),
        ({"world": {"size": 1}}, "s.toml: world.size: unknown key"),
        ({"world": {"download": ["fine"]}}, 's.toml: world.download[1]: should be "ok", "unreachable", an HTTP'),
        ({"world": {"download": [{"status": 7}]}}, "s.toml: world.download[1].status: "),
        ({"everest": {"permits_after": "soon"}}, "s.toml: everest.permits_after: should be a duration like"),
        ({"everest": {"permits_after": -1}}, "s.toml: everest.permits_after: a duration is not negative"),
        ({"everest": {"permits_after": True}}, "s.toml: everest.permits_after: should be seconds"),
        ({"step": [STEP, {"at": "2s"}]}, "s.toml: step[2]: should have exactly one of everest, world"),
        ({"step": [{**STEP, "clock": "+1d"}]}, "s.toml: step[1]: should have exactly one of"),
        ({"step": [{"at": "later", "everest": "reset"}]}, "s.toml: step[1].at: should be a duration"),
        ({"step": [{"at": "1s", "everest": "rest"}]}, "s.toml: step[1].everest: is none of start, stop"),
        ({"step": [{"at": "1s", "everest": {"hartbeats": True}}]}, "s.toml: step[1].everest.hartbeats: unknown key"),
        ({"step": [{"at": "1s", "clock": "2h"}]}, 's.toml: step[1].clock: should be "+2h"'),
        ({"step": [{"at": "1s", "operator": "dance"}]}, "s.toml: step[1].operator: Input should be 'pause'"),
        ({"step": [{**STEP, "module": "o"}]}, "s.toml: step[1].module: o is none of station.module_ids (system_api)"),
        ({"station": {"module_ids": ["auto"]}}, "s.toml: station.module_ids: no EVerest can be asked here"),
        ({"step": [{"at": 1, "expect": {"module": "o"}}]}, "s.toml: step[1].expect.module: o is none of"),
        ({"expect": [{"update": 1, "statuses": [], "module": "o"}]}, "s.toml: expect[1].module: o is none of"),
        ({"end": {"module": "o"}}, "s.toml: end.module: o is none of"),
        ({"end": {"firmware": "INSTALED"}}, "s.toml: end.firmware: Input should be 'IDLE'"),
        ({"end": {"boot_reason": "Watchdoge"}}, "s.toml: end.boot_reason: Input should be"),
        ({"expect": [{"statuses": []}]}, "s.toml: expect[1]: should have either update or upload"),
        ({"expect": [{"update": 1, "statuses": ["Instaled"]}]}, "s.toml: expect[1].statuses[1].word: is no status"),
        ({"station": {"presence": "sometimes"}}, 's.toml: station.presence: "sometimes" is not allowed'),
        ({"firmwear": {}}, "s.toml: firmwear: unknown key"),
    ],
)
def test_faults(tables: dict[str, Any], problem: str) -> None:
    """A fault names the file and the key, steps counted from 1, and what should be there."""
    given = {"title": "t", **tables} if tables else {}
    with pytest.raises(ScenarioError) as caught:
        parse(given, "s.toml")
    assert [line for line in caught.value.problems if line.startswith(problem)], caught.value.problems


def test_all_faults_at_once() -> None:
    """Faults of the story and of the configuration are told together."""
    with pytest.raises(ScenarioError) as caught:
        parse({"title": "t", "wrold": {}, "logs": {"max_size_mb": -1}, "mqtt": {"port": "x"}}, "s.toml")
    assert [line.split(":")[1].strip() for line in caught.value.problems] == ["wrold", "logs.max_size_mb", "mqtt.port"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file"),
        (b"title = ", "is no TOML"),
        (b"\xff", "is no TOML"),
        (b"#" * 1_000_001, "is no scenario: larger than"),
        (b'title = "t"\nstarts = 2026-11-22T08:00:00\n', "starts: a moment of the calendar needs its zone"),
        (
            b'title = "t"\n[[step]]\nat = 2026-11-22T08:00:00\nservice = "kill"\n',
            "step[1].at: a moment of the calendar",
        ),
        (b'title = "t"\n[[step]]\nat = 1\nclock = 2026-11-22T08:00:00\n', "step[1].clock: a moment of the calendar"),
    ],
)
def test_bad_files(tmp_path: Path, content: bytes | None, problem: str) -> None:
    """A file that is none of ours is refused in one line with its name."""
    file = tmp_path / "s.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        load(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert problem in str(caught.value)


def failures(**tables: Any) -> list[str]:
    """What fails of a scenario in which an unsigned update is asked for at 10 s, and accepted."""
    step = {
        "at": 10,
        "everest": "update_firmware",
        "with": {"request_id": 7, "location": "https://csms.example/fw.bin"},
        **tables.pop("asked", {}),
    }
    more = tables.pop("more", [])
    told = {"title": "t", "firmware": {"unsigned": "accept"}, "step": [step, *more], **tables}
    return run(parse(told, "s")).failures


ALL = ["Downloading", "Downloaded", "Installing", "InstallRebooting", "Installed"]


def test_unmet_expectations() -> None:
    """What is not as expected is told with its place: statuses, times, replies, answers, standings, surprises."""
    assert failures(expect=[{"update": 7, "statuses": ALL}]) == []
    assert failures(expect=[{"update": 7, "statuses": ALL[:4]}]) == [
        f"s: expect[1].statuses: expected {', '.join(ALL[:4])}; came {', '.join(ALL)}"
    ]
    assert failures()[0] == "s: expect: nothing is expected of update 7, Downloading came"
    late = [{"word": "Downloading", "at": "20s"}, *ALL[1:]]
    assert failures(expect=[{"update": 7, "statuses": late}]) == [
        "s: expect[1].statuses[1]: Downloading expected at 00:00:20.000, came at 00:00:10.500"
    ]
    stays = [ALL[0], {"word": "Downloaded", "disable_connectors": False}, *ALL[2:]]
    assert failures(expect=[{"update": 7, "statuses": stays}]) == [
        "s: expect[1].statuses[2].disable_connectors: expected False, it is True"
    ]
    expect = [{"update": 7, "statuses": ALL}]
    assert failures(asked={"reply": "Rejected"}, expect=expect) == [
        "s: step[1].reply: expected 'Rejected', came 'Accepted'"
    ]
    assert failures(asked={"reply": ""}, expect=expect) == ["s: step[1].reply: expected none, came 'Accepted'"]
    assert failures(more=[{"at": "1h", "operator": "pause", "reply": "paused"}], expect=expect) == [
        "s: step[2].reply: expected 'paused', came 'no download is running or waiting for another attempt'"
    ]
    standing = {"firmware": "IDLE", "boots": 1, "is_ahead": "1h", "slots": {"a": "factory", "b": "update-1"}}
    assert failures(end=standing, expect=expect) == [
        "s: end.is_ahead: expected 3600 s, it is 0 s",
        "s: end.firmware: expected 'IDLE', it is 'INSTALLED'",
    ]
    early = [{"at": "+5s", "expect": {"firmware": "IDLE"}}]
    assert failures(more=early, expect=expect) == ["s: step[2].expect.firmware: expected 'IDLE', it is 'DOWNLOADING'"]
    arrived = [{"update": 7, "statuses": ALL, "arrived": ALL[1:]}]
    assert failures(expect=arrived)[0].startswith("s: expect[1].arrived: ")


def test_surprise_step_kinds() -> None:
    """Every kind of step does what it says."""
    steps = [
        {"at": "1s", "service": "stop"},
        {"at": "2s", "service": "start"},
        {"at": "3s", "broker": "cut"},
        {"at": "4s", "everest": "stop"},
        {"at": "5s", "everest": "start"},
        {"at": "15s", "everest": "set_system_time", "with": "2026-11-22T08:00:15.000Z", "reply": False},
        {"at": "16s", "operator": "status"},
        {"at": "17s", "everest": "reset"},
        {"at": "2m", "broker": "refusing"},
        {"at": "3m", "broker": "up"},
        {"at": "4m", "clock": "+2h"},
        {"at": "4m", "expect": {"is_ahead": "2h"}},
        {"at": "5m", "everest": "accept_boot"},
        {"at": "6m", "operator": "resume", "module": "system_api", "reply": "no download is paused"},
    ]
    timeline = run(parse({"title": "t", "step": steps, "lasts": "10m", "end": {"boots": 1, "is_behind": 0}}, "s"))
    assert timeline.failures == []
    assert timeline.lasted == 600_000_000
    told = "\n".join(f"{entry.who} {entry.what}" for entry in timeline.entries)
    for line in (
        "world the service stops",
        "world the broker refuses everybody",
        "world the broker is there",
        "station reboots the machine",
        "operator says status",
        "operator is told: the status",
        "world sets the clock from 2026-11-22 08:04:00 to 2026-11-22 10:04:00",
        "station sets the clock from 2026-11-22 10:05:00 to 2026-11-22 08:05:00",
    ):
        assert line in told
