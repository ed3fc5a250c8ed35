"""Killed at any moment, again and again, the service brings each accepted request to its one right end.

The process is ended by SIGKILL and started again at once, as systemd does, with a real broker, a real server, and an
EVerest that lives on. Each story is an update and a log upload, and kills at moments drawn from a seed: while it
starts, at work, right after a status, when all is done. A failure prints the seed, the kills, the service's log and all
that went over the broker in the order of time, and the store; EVEREST_SYSTEM_SEED=… plays it again (the moments, that
is: the machine has its own pace). No deadline goes by the clock alone: a story has failed when the service was alive
for long and nothing came of it.

Where a kill is to hit one system call, strace delivers it as the service enters that call. `make soak` kills more.
"""

import contextlib
import itertools
import os
import random
import re
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.brokers import real_broker
from support.evidence import WireRecord, evidence
from support.http_server import File, Reply
from support.peers import program, require
from support.service_process import ServiceProcess
from support.stations import IMAGE, Station

from everest_system.everest_side import EverestSide, EverestSideError, NoStatusError
from everest_system.fsm.errors import WorldError
from everest_system.fsm.machine import RESUMES_MAX

EVEREST_S = 1.0  # between two heartbeats, if nobody has configured it otherwise: the pace that is assumed at first
PATIENCE = 150  # signs of life without a step, a status or a start in between: 45 s where nothing is in the way
LONGEST_S = 300.0  # and if there are no signs of life
KILLS = RESUMES_MAX  # a story has: a step that was resumed more often without coming further would end
STORIES, SOAK_STORIES = 6, 100
BIG = IMAGE * 6  # one sync of its part, and some
OLD = b"the firmware that ran before"
ASKS = "(InstallScheduled {0} )*"  # again for the permission, past EVerest's filter
ENDS = {"Installed", "InvalidSignature", "DownloadFailed", "InstallationFailed", "InstallVerificationFailed"}
LOGS = "(Uploading )?Uploaded"  # another boot, another EVerest: it is told the latest only


@dataclass(frozen=True)
class Story:
    """An update: how it is asked for, the statuses that the CSMS may hear, and whether it succeeds."""

    legal: str
    succeeds: bool = False
    signed: bool = False
    activation: str = "none"
    image: bytes = IMAGE
    rate_kbps: int = 0


def signed(activation: str, **more: Any) -> Story:
    reboots = "InstallRebooting " if activation != "none" else ""
    legal = f"Downloading Downloaded SignatureVerified {ASKS.format('SignatureVerified')}Installing {reboots}Installed"
    return Story(legal, succeeds=True, signed=True, activation=activation, **more)


STORY = {
    "big": signed("none", image=BIG, rate_kbps=64_000),
    "reboot": signed("reboot"),
    "restart": signed("restart", image=BIG),
    "unsigned": Story(f"Downloading Downloaded {ASKS.format('Downloaded')}Installing Installed", succeeds=True),
    "forged": Story("Downloading Downloaded InvalidSignature", signed=True),
    "gone": Story("Downloading DownloadFailed"),
}


class Csms:
    """Talks to its EVerest now and then, as a CSMS does with each of its heartbeats."""

    def __init__(self, everest: EverestSide) -> None:
        self._everest = everest
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.3):
            try:
                self._everest.accept_boot(timeout_s=0.3)
            except EverestSideError:
                continue  # the service is not there just now


@dataclass(frozen=True)
class Play:
    """A story under way, with both requests accepted."""

    story: Story
    service: ServiceProcess
    everest: EverestSide
    seen: WireRecord

    def kill(self) -> None:
        """End the service as a power cut does, and wait until its supervisor has started it again."""
        starts = self.service.starts
        self.seen.note(f"kill {len(self.service.exits) + 1}")
        os.kill(self.service.pid, signal.SIGKILL)
        wait_until(lambda: self.service.starts > starts)

    def finish(self, *, everest_lives: bool = True) -> None:
        """Wait for the end of both requests, and look at what has to hold then."""
        service, story, state = self.service, self.story, self.service.state_dir
        self.wait_until(lambda: set(heard(self.everest, 1).split()) & ENDS, "the update has no end status")
        self.wait_until(lambda: "Uploaded" in heard(self.everest, 2).split(), "the upload has no end status")
        self.wait_until(lambda: waiting(service) == 0, "statuses wait")
        self.wait_until(lambda: not leftovers(state), f"there are leftovers in {state}")
        if everest_lives:
            assert re.fullmatch(story.legal, heard(self.everest, 1)), heard(self.everest, 1)
            assert re.fullmatch(LOGS, heard(self.everest, 2)), heard(self.everest, 2)
        slots = state / "slots"
        assert (slots / "a" / "image").read_bytes() == OLD
        assert (slots / "current").readlink() == Path("b" if story.succeeds else "a")
        if story.succeeds:
            assert (slots / "b" / "image").read_bytes() == story.image
        else:
            assert not list((slots / "b").iterdir())
        assert not [line for line in service.log if line.get("level") in {"error", "critical"}]
        assert set(service.exits) <= {-signal.SIGKILL}

    def wait_until(self, holds: Callable[[], object], failure: str) -> None:
        """Wait for as long as the service gets on, and `PATIENCE` signs of life longer."""
        deadline, moved, since = time.monotonic() + LONGEST_S, (0, 0, 0), 0
        while not tried(holds):
            now = (len(self.everest.arrived), len(self.service.lines(" -> ")), self.service.starts)
            if now != moved:
                moved, since = now, self.seen.signs_of_life
            assert not self.everest.ended, self.everest.ended
            assert self.seen.signs_of_life - since < PATIENCE, f"{failure}, though the service lives"
            assert time.monotonic() < deadline, f"{failure} after {LONGEST_S:g} s"
            time.sleep(0.02)


@contextlib.contextmanager
def playing(
    station: Station,
    name: str,
    *,
    heartbeat_s: float = 0.1,
    under: list[str] | None = None,
    config: dict[str, Any] | None = None,
) -> Iterator[Play]:
    """A supervised service whose EVerest it knows by its pace, with both requests accepted."""
    story, slots = STORY[name], station.folder / "state" / "slots"
    (slots / "a").mkdir(parents=True)
    (slots / "a" / "image").write_bytes(OLD)
    (slots / "current").symlink_to("a")
    firmware = {
        "unsigned": "reject" if story.signed else "accept",
        "rate_limit_kbps": story.rate_kbps,
        "slots": {"activation": story.activation},
    }
    # Until its pace is known, an EVerest that beats ten times a second seems to have been up ten times as long.
    patient = {"station": {"registration_timeout_s": 3600}}
    service = station.service({"firmware": firmware, **patient, **(config or {})}, start=False)
    service.under = under or []
    with evidence(station.broker, service) as seen:
        service.start()
        service.supervise()
        everest = station.everest(heartbeat_s=heartbeat_s)
        if heartbeat_s != EVEREST_S:
            wait_until(lambda: known_pace(service) < EVEREST_S / 2)
        path = "/fw.bin"
        if name == "gone":
            station.http.plan(path, Reply(status=404))
        else:
            station.http.files[path] = File(story.image, etag='"it"')
        request = {"location": station.http.url(path), "request_id": 1, "retries": 3, "retry_interval_s": 0}
        if story.signed:
            request |= station.maker.signed(b"something else" if name == "forged" else story.image)
        # The update comes last: its work is what some kills wait for, and a reply that is not out by then is lost.
        assert everest.call("upload_logs", {"location": station.http.url("/logs/"), "request_id": 2}, LONGEST_S)
        assert everest.call("update_firmware", request, LONGEST_S) == "Accepted"
        csms = Csms(everest)
        try:
            yield Play(story, service, everest, seen)
        finally:
            csms.end()


def heard(everest: EverestSide, request_id: int) -> str:
    """What the CSMS hears of a request."""
    return " ".join(status.word for status in everest.statuses if status.request_id == request_id)


def leftovers(state: Path) -> list[str]:
    """Files of work that has ended."""
    folders = [state / "artifacts", state / "spool"]
    return [str(path) for folder in folders if folder.exists() for path in folder.rglob("*")]


def known_pace(service: ServiceProcess) -> float:
    """Seconds between EVerest's heartbeats, as the store has them."""
    with sqlite3.connect(f"file:{service.state_dir / 'state.db'}?mode=ro", uri=True) as db:
        row = db.execute(
            "SELECT json_extract(json, '$.known.period_s') FROM snapshots WHERE machine = 'presence'"
        ).fetchone()
    return EVEREST_S if row is None or row[0] is None else float(row[0])


def waiting(service: ServiceProcess) -> int:
    """How many statuses wait for EVerest."""
    return int(service.ask("status")["modules"]["system_api"]["messages_waiting"])


def wait_until(holds: Callable[[], object]) -> None:
    """Wait for what no event tells of."""
    deadline = time.monotonic() + LONGEST_S
    while not tried(holds):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def tried(holds: Callable[[], object]) -> object:
    """Whether it holds; the service may be starting anew just now."""
    try:
        return holds()
    except (OSError, sqlite3.Error, WorldError):
        return False


def seed_of(number: int) -> int:
    """The seed of a story: from EVEREST_SYSTEM_SEED, or a new one; printed."""
    base = int(os.environ.get("EVEREST_SYSTEM_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"EVEREST_SYSTEM_SEED={base}")
    return base + number


def play(station: Station, number: int) -> None:
    """One story with its kills."""
    dice = random.Random(seed_of(number))
    name = list(STORY)[number % len(STORY)]
    # A slower heartbeat: more is said and not yet known to be heard. A longer span: it comes further between two kills.
    heartbeat_s, span_s = EVEREST_S if number % 5 == 4 else 0.1, dice.choice([0.3, 0.3, 0.8])
    with playing(station, name, heartbeat_s=heartbeat_s) as story:
        since = 0
        for _ in range(KILLS):
            at = dice.choice(["starting", "status", "working", "working"])
            moment_s = dice.uniform(0, span_s)
            if at == "status":
                wait_for_next_status(story.everest)
            else:
                if at == "working":
                    story.service.wait_for("connected to the broker", since=since)
                time.sleep(moment_s)  # the moment itself
            story.seen.note(f"{at}, {moment_s:.3f} s")
            since = len(story.service.log)
            story.kill()
        story.finish()
        assert story.service.exits == [-signal.SIGKILL] * KILLS


def wait_for_next_status(everest: EverestSide) -> None:
    """Wait until the CSMS has heard one more; if all is said, none comes."""
    said = {status.word for status in everest.statuses}
    if not ("Uploaded" in said and said & ENDS):
        with contextlib.suppress(NoStatusError):
            everest.wait_for(lambda _: True, timeout_s=2, since=len(everest.statuses))


@real_broker
@pytest.mark.parametrize("number", range(STORIES))
def test_killed_at_random(station: Station, number: int):
    """Killed five times at random moments, an update and an upload come to their ends all the same, said once."""
    play(station, number)


@real_broker
@pytest.mark.parametrize(("name", "heartbeat_s"), [("reboot", 0.1), ("unsigned", EVEREST_S)])
def test_killed_after_each_status(station: Station, name: str, heartbeat_s: float):
    """Killed as soon as EVerest has a status, after each of them, the last one too, it says the next one, and once."""
    words = re.sub(r"\(.*\)\*", "", STORY[name].legal).split()
    with playing(station, name, heartbeat_s=heartbeat_s) as story:
        for number, word in enumerate(words):
            if number == RESUMES_MAX:  # cut short once more, an upload that got nowhere yet would be given up
                story.wait_until(lambda: "Uploaded" in heard(story.everest, 2).split(), "no Uploaded")
            story.wait_until(lambda word=word: word in heard(story.everest, 1).split(), f"no {word}")
            story.kill()
        story.finish()
        assert story.service.exits == [-signal.SIGKILL] * len(words)


@real_broker
def test_power_cuts(station: Station):
    """Power cuts end EVerest too: what the old one may not have passed on is said to the new one, in order."""
    with playing(station, "reboot") as story:
        everest = story.everest
        for _ in range(KILLS):
            wait_for_next_status(everest)
            story.kill()
            everest.restart()
        story.finish(everest_lives=False)
        # Each EVerest forgets what the last one heard: of each request it is told the latest, maybe again.
        update = [word for word, _ in itertools.groupby(heard(everest, 1).split())]
        order = "(Downloading )?(Downloaded )?(SignatureVerified )?(InstallScheduled SignatureVerified )*"
        order += "(InstallScheduled )?(Installing )?(InstallRebooting )?Installed"
        assert re.fullmatch(order, " ".join(update)), update
        upload = [word for word, _ in itertools.groupby(heard(everest, 2).split())]
        assert re.fullmatch(LOGS, " ".join(upload)), upload


@pytest.mark.soak
@real_broker
@pytest.mark.parametrize("number", range(STORIES, STORIES + SOAK_STORIES))
def test_killed_at_random_for_long(station: Station, number: int):
    """The same with five hundred kills."""
    play(station, number)


@dataclass(frozen=True)
class Call:
    """A system call to be killed at: its name, the file below the state folder that it is for, and which of them."""

    name: str
    file: str
    when: int = 1
    story: str = "reboot"

    def strace(self, state: Path) -> list[str]:
        """The program that kills there."""
        tool = require("strace", program("strace"), "kills at a system call")
        chosen = ["-e", f"trace={self.name}", "-e", f"inject={self.name}:signal=KILL:when={self.when}"]
        return [tool, "-f", "-qq", "-o", "/dev/null", "-P", str(state / self.file), *chosen]


CALLS = {
    "before a part is synced": Call("fdatasync", "artifacts/update-1", story="restart"),
    "before a download is synced": Call("fsync", "artifacts/update-1"),
    "before a slot has its image": Call("/^rename", "slots/b/.image.part"),
    "before the swap of the slots": Call("/^rename", "slots/.current.new"),
    "after the swap of the slots": Call("fsync", "slots"),
    "before a commit is synced": Call("fdatasync", "state.db-journal", when=40),
    "while a commit is written": Call("pwrite64", "state.db", when=60),
    "before a commit counts": Call("ftruncate", "state.db-journal", when=20),
    "before the reboot": Call("/^rename", ".boot_counter.new"),
}


@real_broker
@pytest.mark.parametrize("moment", CALLS)
def test_killed_at_a_system_call(station: Station, moment: str):
    """Killed right before a sync, a rename or a commit takes effect, it goes on to the same end."""
    call = CALLS[moment]
    with playing(station, call.story, under=call.strace(station.folder / "state")) as story:
        story.finish()
        assert story.service.exits == [-signal.SIGKILL]


@real_broker
@pytest.mark.parametrize("booted", [False, True])
def test_killed_by_the_reboot(station: Station, booted: bool):
    """A reboot that takes the service down with it counts if the machine has booted, and is else ordered again."""
    boot_id, script = station.folder / "boot-id", station.folder / "reboot.sh"
    boot_id.write_text("first\n")
    once = station.folder / "once"
    come = f"echo second > {boot_id}"
    script.write_text(f"#!/bin/sh\n{come if booted else ''}\n[ -e {once} ] && {come}\ntouch {once}\nkill -KILL $PPID\n")
    script.chmod(0o755)
    platform = {"kind": "command", "boot_id_file": str(boot_id), "command": {"reboot": [str(script)]}}
    with playing(station, "reboot", config={"platform": platform}) as story:
        story.finish()
        assert story.service.exits == [-signal.SIGKILL] * (1 if booted else 2)
