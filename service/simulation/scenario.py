"""A scenario: what EVerest, the world and the operator do and when, and what the station is expected to do.

It is a TOML file. Everything but the steps has defaults, with which all goes well:

    title = "An update that meets a busy server"
    starts = 2026-11-22T08:00:00Z           # what the clocks show at the beginning
    lasts = "10m"                           # by default until nothing is going to happen any more

    [firmware]                              # the service's configuration, by its own keys: also [station], [logs], …
    unsigned = "accept"
    [world]                                 # servers, installer, machine: see WorldBehaviour
    download = ["503", "ok"]                # what one attempt after the other meets
    [everest]                               # see EverestBehaviour
    permits_after = "2h"                    # somebody charges until then

    [[step]]
    at = "10s"                              # since the beginning; "+10s": since the step before; or a date and time
    everest = "update_firmware"             # a command of EVerest's, …
    with = { request_id = 7, location = "https://csms.example/fw.bin", retry_interval_s = 5 }
    reply = "Accepted"                      # … and the reply expected

    [[expect]]
    update = 7                              # or `upload = 7`: all that the CSMS hears of it, exactly
    statuses = ["Downloading", "DownloadFailed", { word = "Downloading", at = "15.6s" }, …]
    [end]                                   # where everything stands at the end
    firmware = "INSTALLED"
    [crashes]                               # when crashes are worth trying: see Window
    from = "20s"

A step has one of `everest`, `world`, `machine`, `service`, `broker`, `clock`, `operator`, `expect`. A status that no
`[[expect]]` names fails the scenario too.
"""

import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, ValidationError, ValidationInfo, field_validator, model_validator

from everest_system.configuration.problems import ConfigurationError, validated
from everest_system.configuration.settings import Settings
from everest_system.configuration.settings_file import leaves
from everest_system.everest_side.replies import REQUESTS
from everest_system.fsm.messages import FirmwareUpdateStatusEnum, LogStatusEnum
from everest_system.simulation.behaviour import EverestBehaviour, Table, WorldBehaviour
from everest_system.simulation.moments import Duration, Moment, seconds
from everest_system.simulation.simulation import STARTS
from everest_system.simulation.standing import Standing

LARGEST_FILE = 1_000_000
VERBS = ("start", "stop", "restart", "mute", "unmute", "accept_boot")
COMMANDS = REQUESTS | {"allow_firmware_installation", "reset", "heartbeat"}
DOERS = ("everest", "world", "machine", "service", "broker", "clock", "operator", "expect")
NOTHING_GIVEN = "nothing given"
_WORDS = frozenset({*FirmwareUpdateStatusEnum, *LogStatusEnum})


class ScenarioError(Exception):
    """A scenario cannot be used.

    Attributes:
        problems: one line for each fault: file, key, what is wrong.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def _kind(value: Any) -> str:
    return "word" if isinstance(value, str) else "table"


class Step(Table):
    """One thing that somebody does.

    Attributes:
        at: when.
        everest: a command by its name on the wire, with its payload in `with`; or `restart`, `stop`, `start`, `mute`
            and `unmute` (its heartbeats), `accept_boot` (the CSMS does), or a table of new behaviour.
        with_: the payload: of any kind, EVerest checks nothing. Dates and times are written as EVerest writes them.
        raw: in place of `with`: the whole message, as text.
        times: how often the request is delivered.
        reply: the reply expected; of `upload_logs` only its status. `""`: none. Of the operator: `done` or `error`.
        module: whose EVerest, or which update the operator means; the first one by default.
        world: new behaviour, by the keys of `[world]`.
        machine: its power is cut, or its watchdog resets it.
        service: `kill` as SIGKILL does, `stop` as SIGTERM.
        broker: `cut` only ends the station's connection.
        clock: set the wall clock: forward (`"+2h"`), back (`"-3d"`), or to a date and time.
        operator: a command of the control socket.
        away: how long EVerest, the service or the machine is away.
        expect: where things stand now.
    """

    at: Moment
    raw: str | None = None
    everest: (
        Annotated[Annotated[str, Tag("word")] | Annotated[EverestBehaviour, Tag("table")], Discriminator(_kind)] | None
    ) = None
    with_: Any = Field(default=NOTHING_GIVEN, alias="with")
    times: int = Field(default=1, ge=1, le=100)
    reply: Any = None
    module: str | None = None
    world: WorldBehaviour | None = None
    machine: Literal["cut_power", "watchdog"] | None = None
    service: Literal["kill", "stop", "start"] | None = None
    broker: Literal["down", "up", "refusing", "cut"] | None = None
    clock: Any = None
    operator: Literal["pause", "resume", "reset", "status"] | None = None
    away: Duration | None = None
    expect: Standing | None = None

    @model_validator(mode="after")
    def _one_doer(self) -> Self:
        done = [name for name in DOERS if getattr(self, name) is not None]
        if len(done) != 1:
            raise ValueError(f"should have exactly one of {', '.join(DOERS)}")
        return self

    @field_validator("clock")
    @classmethod
    def _settable(cls, value: Any) -> Any:
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError("a moment of the calendar needs its zone")
        elif value is not None:
            if not isinstance(value, str) or value[:1] not in {"+", "-"}:
                raise ValueError('should be "+2h", "-3d", or a date and time')
            seconds(value[1:])
        return value

    @field_validator("everest")
    @classmethod
    def _speakable(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str) and value not in {*VERBS, *COMMANDS} and info.data.get("raw") is None:
            raise ValueError(f"is none of {', '.join([*VERBS, *sorted(COMMANDS)])}; another command needs raw")
        return value

    @property
    def clock_step(self) -> timedelta | None:
        """How far the clock is set, where it is not set to a moment."""
        if not isinstance(self.clock, str):
            return None
        step = timedelta(seconds=seconds(self.clock[1:]))
        return step if self.clock[0] == "+" else -step


class ExpectedStatus(Table):
    """One status: its word, or a table.

    Attributes:
        at: when it is heard, to the second unless `within` says more; by default not looked at.
        disable_connectors: whether it has EVerest take them out of service; by default not looked at.
    """

    word: str
    disable_connectors: bool | None = None
    at: Moment | None = None
    within: Duration = 1.0

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return {"word": value} if isinstance(value, str) else value

    @field_validator("word")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in _WORDS:
            raise ValueError(f"is no status; there are {', '.join(sorted(_WORDS))}")
        return value


class Expectation(Table):
    """All the statuses of one request, in order.

    Attributes:
        update, upload: the request id.
        statuses: what the CSMS hears of it, and nothing else.
        arrived: what reaches EVerest, with what it drops; by default not looked at.
        module: whose request.
    """

    update: int | None = None
    upload: int | None = None
    statuses: Annotated[tuple[ExpectedStatus, ...], Field(strict=False)]
    arrived: Annotated[tuple[ExpectedStatus, ...], Field(strict=False)] | None = None
    module: str | None = None

    @model_validator(mode="after")
    def _one_request(self) -> Self:
        if (self.update is None) == (self.upload is None):
            raise ValueError("should have either update or upload, with the request id")
        return self


class Window(Table):
    """From when until when the crashes of `simulate --crashes` are tried.

    Attributes:
        from_: by default the first step.
        until: by default the end.
    """

    from_: Moment | None = Field(default=None, alias="from")
    until: Moment | None = None


class Story(Table):
    """The tables of a scenario that are not the service's configuration."""

    title: str
    about: str = ""
    starts: datetime = STARTS
    lasts: Moment | None = None
    counts: bool = True
    world: WorldBehaviour = WorldBehaviour()
    everest: EverestBehaviour = EverestBehaviour()
    step: Annotated[tuple[Step, ...], Field(strict=False)] = ()
    expect: Annotated[tuple[Expectation, ...], Field(strict=False)] = ()
    end: Standing = Standing()
    crashes: Window = Window()

    @field_validator("starts")
    @classmethod
    def _aware(cls, value: datetime) -> datetime:
        if value.tzinfo is None:
            raise ValueError("a moment of the calendar needs its zone")
        return value


class Scenario:
    """A scenario, ready to run.

    Attributes:
        name: the file's, or whatever errors are to call it.
        story: its own tables.
        settings: the service's configuration.
    """

    def __init__(self, name: str, story: Story, settings: Settings) -> None:
        self.name, self.story, self.settings = name, story, settings


def load(file: Path) -> Scenario:
    """Read a scenario.

    Raises:
        ScenarioError: it cannot be read, or is wrong; all its faults are told at once.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ScenarioError([f"{file}: cannot be read: {error.strerror}"]) from None
    if len(content) > LARGEST_FILE:
        raise ScenarioError([f"{file}: is no scenario: larger than {LARGEST_FILE} bytes"])
    try:
        values = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise ScenarioError([f"{file}: is no TOML: {error}"]) from None
    return parse(values, str(file))


def parse(values: Mapping[str, Any], name: str) -> Scenario:
    """Read a scenario from the tables of its file; `name` stands in front of errors.

    Raises:
        ScenarioError: it is wrong.
    """
    configured = {key: value for key, value in values.items() if key in Settings.model_fields}
    told = {key: value for key, value in values.items() if key not in Settings.model_fields}
    problems: list[str] = []
    story, settings = None, None
    try:
        story = Story.model_validate(told)
    except ValidationError as error:
        problems += sorted({_line(name, fault) for fault in error.errors(include_url=False)})
    # Nobody's machine is in danger here: unless a scenario is about dry runs, orders to the machine are obeyed.
    configured.setdefault("platform", {"kind": "systemd"})
    try:
        settings = validated(configured, {path: name for path, _ in leaves((), configured)})
    except ConfigurationError as error:
        problems += [f"{name}: {problem.removesuffix(f' ({name})')}" for problem in error.problems]
    if story is None or settings is None:
        raise ScenarioError(problems)
    if settings.finds_modules:
        raise ScenarioError([f"{name}: station.module_ids: no EVerest can be asked here; name the modules"])
    known = settings.station.module_ids
    strangers = [(key, module) for key, module in _modules(story) if module not in known]
    if strangers:
        ids = ", ".join(known)
        raise ScenarioError(
            [f"{name}: {key}: {module} is none of station.module_ids ({ids})" for key, module in strangers]
        )
    return Scenario(name, story, settings)


def _modules(story: Story) -> Iterator[tuple[str, str]]:
    """Each module that is named, behind its key."""
    tables: list[tuple[str, Step | Expectation | Standing | None]] = [("end", story.end)]
    for number, step in enumerate(story.step, 1):
        tables += [(f"step[{number}]", step), (f"step[{number}].expect", step.expect)]
    tables += [(f"expect[{number}]", each) for number, each in enumerate(story.expect, 1)]
    for key, table in tables:
        if table is not None and table.module is not None:
            yield f"{key}.module", table.module


def _line(name: str, fault: Any) -> str:
    """One fault, with its key as the file writes it: `step[2].with`, the first being number 1."""
    key = ""
    for part in fault["loc"]:
        if isinstance(part, int):
            key += f"[{part + 1}]"
        elif part not in {"word", "table"} or not key.endswith(".everest"):
            key += f".{part}" if key else str(part)
    said = "unknown key" if fault["type"] == "extra_forbidden" else fault["msg"].removeprefix("Value error, ")
    return f"{name}: {key}: {said}"
