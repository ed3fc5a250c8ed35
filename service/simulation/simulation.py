"""The station in virtual time.

The reactor, the station and its machines are the real ones; everything around them is played. Time jumps from one thing
that happens to the next (see `time_jumps`): a timer of the station's, or something that the world, EVerest or the
operator is going to do. Heartbeats and communication checks that nobody waits for are counted, not run, and tries to
reach a broker that is away are left out; with `counts=False` everything is run.

    with Simulation(settings) as simulation:
        simulation.begin()
        simulation.everest().ask("update_firmware", {"location": "https://csms.example/fw.bin", "request_id": 7})
        simulation.run()                            # until nothing is going to happen any more
        print(simulation.everest().heard)

A crash is `kill_service`, with the machine `cut_power`; both can come at any moment between two turns, and by a `Watch`
inside of one. The next start has the same memory and the same world.
"""

import json
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Self

from structlog.testing import capture_logs

from everest_system.configuration.settings import Settings
from everest_system.fsm.orders import SetSystemTime
from everest_system.fsm.platform.boot_reasons import BootFacts
from everest_system.io.control.server import ControlRequest
from everest_system.io.mqtt.topics import Topics
from everest_system.ports import BootedInPlace
from everest_system.simulation.agenda import Agenda
from everest_system.simulation.behaviour import EverestBehaviour, WorldBehaviour
from everest_system.simulation.broker import FakeBroker, Health
from everest_system.simulation.chronicle import Chronicle
from everest_system.simulation.clock import FakeClock, microseconds
from everest_system.simulation.crash_points import AWAY_S, SuddenEnd, Watch
from everest_system.simulation.everest import FakeEverest
from everest_system.simulation.memory import FakeMemory
from everest_system.simulation.service_life import ServiceLife
from everest_system.simulation.time_jumps import TimeJumps
from everest_system.simulation.world import World
from everest_system.system_time import TimeRules

STARTS = datetime(2026, 11, 22, 8, tzinfo=UTC)
BUILT = datetime(2026, 11, 1, tzinfo=UTC)  # as if the service had been built before any scenario begins


class Simulation:
    """One machine with the service on it, EVerest beside it, and the world around it.

    Args:
        settings: the service's configuration.
        world: how the world behaves at first.
        everest: how EVerest behaves at first, that of each module.
        starts: what the clocks show at the beginning.
        counts: whether heartbeats and communication checks that nobody waits for are counted and not run.
        watch: counts the points at which the service can die, and lets it die at one.

    Attributes:
        clock, agenda, broker, world, memory: the parts that outlive the service.
        life: the service; None while it does not run.
        timeline: what has happened so far.
        stepped_at: when each step of the memory's history was, in microseconds since the beginning.
    """

    def __init__(
        self,
        settings: Settings,
        world: WorldBehaviour | None = None,
        everest: EverestBehaviour | None = None,
        *,
        starts: datetime = STARTS,
        title: str = "",
        counts: bool = True,
        watch: Watch | None = None,
    ) -> None:
        self.settings = settings
        self.clock = FakeClock(starts)
        self.agenda = Agenda(self.clock)
        self.broker = FakeBroker(self.agenda)
        self.world = World(world or WorldBehaviour(), self.clock)
        self.memory = FakeMemory()
        self.life: ServiceLife | None = None
        self._chronicle = Chronicle(self.clock, self.memory, title)
        self.timeline = self._chronicle.timeline
        self.stepped_at = self._chronicle.stepped_at
        self._watch = watch or Watch()
        self._power_is_on = True
        self._watchdog_bit = False
        self._stack = ExitStack()
        prefix = settings.mqtt.external_prefix
        self._everests = {
            module_id: FakeEverest(Topics(prefix, module_id), self.broker, self.clock, self.agenda, self.tell)
            for module_id in settings.station.module_ids
        }
        for one in self._everests.values():
            one.behaviour = everest or EverestBehaviour()
        self._jumps = TimeJumps(
            self.clock,
            self.agenda,
            self.broker,
            tuple(self._everests.values()),
            life=lambda: self.life,
            turn=self._turn,
            check_interval_s=settings.station.communication_check_interval_s,
            counts=counts,
        )
        self.broker.listener = self._to_everest
        self.change_world(self.world.behaviour)

    def __enter__(self) -> Self:
        self._stack.enter_context(self.clock)
        self._chronicle.lines = self._stack.enter_context(capture_logs())
        return self

    def __exit__(self, *_: object) -> None:
        if self.life is not None:
            self.life.crash()
            self.life = None
        self._stack.close()

    def everest(self, module_id: str | None = None) -> FakeEverest:
        """EVerest's side of a module, by default of the first one."""
        return self._everests[module_id or self.settings.station.module_ids[0]]

    def state(self, module_id: str, machine: str) -> str:
        """The state of a machine, `NONE` where nothing was stored yet and no service runs."""
        if self.life is not None:
            machines = dict(self.life.station.machines())
            return str(machines[module_id, machine].state)
        text = self.memory.load().snapshots.get((module_id, machine))
        return "NONE" if text is None else str(json.loads(text)["state"])

    def tell(self, who: str, what: str) -> None:
        """Write a line of the timeline."""
        self._chronicle.tell(who, what)

    # --- time ---

    def begin(self) -> None:
        """Start the service, and EVerest beside it."""
        self.start_service()
        self.start_everest()

    def run(self, until: int | None = None) -> None:
        """Let time pass until `until`, in microseconds since the beginning; by default until all is quiet.

        Raises:
            StuckError: time does not go on.
        """
        self._jumps.run(until)
        self._count()

    def run_for(self, seconds: float) -> None:
        """Let `seconds` pass."""
        self.run(self.clock.elapsed + microseconds(seconds))

    # --- the service ---

    def start_service(self) -> None:
        """Start it, unless it runs, or there is no power."""
        if self.life is None and self._power_is_on:
            self.tell("world", "the service starts")
            self.life = ServiceLife(
                self.settings,
                self.clock,
                self.memory,
                self.world,
                self.agenda,
                self.broker,
                self,
                self._boot_in_place,
                self._watch,
                BootFacts(watchdog=self._watchdog_bit),
            )
            self._survive(self.life.start)

    def kill_service(self, away_s: float | None) -> None:
        """End it as SIGKILL does; it starts again after `away_s`, or when somebody starts it (None)."""
        if self.life is not None:
            self.life.crash()
            self.life = None
            self.tell("world", "the service is killed")
        self._start_service_after(away_s)

    def stop_service(self, away_s: float | None) -> None:
        """End it as SIGTERM does; it starts again as after `kill_service`."""
        if self.life is not None and self._survive(self.life.stop):
            self.life = None
            self.tell("world", "the service stops")
        self._start_service_after(away_s)

    def ask_operator(self, command: str, **arguments: Any) -> dict[str, Any]:
        """What the service says to an operator's command; it is there at once."""
        if self.life is None:
            return {"error": "no service runs"}
        answers: list[dict[str, Any]] = []
        self.life.reactor.post(ControlRequest(command, arguments, answers.append))
        while not answers and self.life is not None:
            self._survive(self.life.turn)
        return answers[0] if answers else {"error": "no service runs"}

    # --- EVerest and the broker ---

    def start_everest(self) -> None:
        """Start it, if the broker is there: without one it ends at once."""
        if self._power_is_on and self.broker.health == "up":
            for one in self._everests.values():
                one.start()

    def end_everest(self, why: str, away_s: float | None) -> None:
        """End it; it starts again after `away_s`, or when somebody starts it (None)."""
        for one in self._everests.values():
            one.end(why)
        if away_s is not None:
            self.agenda.after(away_s, self.start_everest)

    def set_broker(self, health: Health) -> None:
        """Let the broker come or go; when it goes EVerest ends, and starts again when it is back."""
        told = {"up": "is there", "down": "goes away", "refusing": "refuses everybody"}
        self.tell("world", f"the broker {told[health]}")
        self.broker.set_health(health)
        if health == "up":
            self.agenda.after(self.world.behaviour.everest_boot_s, self.start_everest)
        else:
            self.end_everest("the broker went away", None)

    # --- the world ---

    def change_world(self, given: WorldBehaviour) -> None:
        """Behave otherwise from now on, in the keys that `given` names."""
        self.world.change(given)
        self.broker.ack_s = self.world.behaviour.ack_s
        if "lost_acks" in given.model_fields_set:
            self.broker.lost_acks = given.lost_acks

    def cut_power(self, away_s: float, *, by_watchdog: bool = False) -> None:
        """End everything that runs, here and now; the machine boots after `away_s`, perhaps with a watchdog's mark."""
        self.tell("world", "the watchdog resets the machine" if by_watchdog else "the machine goes down")
        self._watchdog_bit = by_watchdog
        self._power_is_on = False
        self.kill_service(None)
        self.end_everest("the machine goes down", None)
        self.agenda.after(away_s, self._boot)

    def set_wall(self, wall: datetime, who: str = "world") -> None:
        """Set the machine's clock."""
        self.tell(who, f"sets the clock from {self.clock.wall:%Y-%m-%d %H:%M:%S} to {wall:%Y-%m-%d %H:%M:%S}")
        self.clock.set_wall(wall)

    # --- what work does to the machine ---

    def order_reboot(self) -> None:
        """Take an order to reboot; a dry run only pretends."""
        if self.settings.platform.pretends:
            self.tell("station", "pretends to reboot")
            self.clock.boot()
            if self.life is not None:
                self.life.reactor.post(BootedInPlace())
            return
        self.tell("station", "reboots the machine")
        self.agenda.after(self.world.behaviour.reboot_s, lambda: self._go_down(self.world.behaviour.boot_s))

    def restart_everest(self, done: Callable[[], None]) -> None:
        """Restart EVerest, and say when that is done."""
        self.tell("station", "restarts EVerest")
        away_s = self.world.behaviour.everest_boot_s
        self.end_everest("it is restarted", away_s)

        def come_up() -> None:
            if self._activates_by_restart:
                self.world.come_up()
            done()

        self.agenda.after(away_s, come_up)

    def set_clock(self, order: SetSystemTime) -> bool:
        """Set the wall clock as the CSMS wants, by the rules of `everest_system.system_time`."""
        if self.settings.platform.pretends:
            return True
        if self.world.behaviour.set_time != "ok" or not self.would_set_clock(order.time.root):
            return False
        self.set_wall(order.time.root, "station")
        return True

    def would_set_clock(self, to: datetime) -> bool:
        """Whether the rules let the station set its clock."""
        platform = self.settings.platform
        rules = TimeRules(platform.time_tolerance_s, platform.time_despite_ntp, BUILT)
        near = rules.is_near(to, self.clock.wall)
        return not near and not rules.objection(to, self.clock.wall, lambda: self.world.behaviour.ntp)

    # --- inside: the service ---

    def _turn(self) -> bool:
        return self.life is not None and self._survive(self.life.turn)

    def _survive(self, live: Callable[[], bool | None]) -> bool:
        """Let the service live for a moment; whether it did something, and lives on."""
        self._watch.begin_turn(self.clock.elapsed)
        try:
            did = live() is not False
        except SuddenEnd as end:
            self._chronicle.observe()
            if end.how == "power":
                self.cut_power(AWAY_S[end.how])
            else:
                self.kill_service(AWAY_S[end.how])
            return False
        if did:
            self._chronicle.observe()
        return did

    # --- inside: the world ---

    @property
    def _activates_by_restart(self) -> bool:
        firmware = self.settings.firmware
        own = firmware.command if firmware.installer == "command" else firmware.slots
        return firmware.installer != "rauc" and own.activation == "restart"

    def _start_service_after(self, away_s: float | None) -> None:
        if away_s is not None:
            self.agenda.after(away_s, self.start_service)

    def _boot_in_place(self) -> None:
        """A dry run's boot: the service ends behind its present event, and starts anew within its process."""

        def start_anew() -> None:
            self.world.come_up()
            self.stop_service(0)

        self.agenda.after(0, start_anew)

    def _go_down(self, away_s: float) -> None:
        if self._power_is_on:
            if self.life is not None:
                self.stop_service(None)
            self.cut_power(away_s)

    def _boot(self) -> None:
        self._power_is_on = True
        self.clock.boot()
        self.world.come_up()
        self.tell("world", f"the machine boots ({self.clock.boot_id})")
        self.start_service()
        self.agenda.after(self.world.behaviour.everest_boot_s, self.start_everest)

    def _to_everest(self, topic: str, payload: bytes) -> None:
        for one in self._everests.values():
            if topic.startswith(one.topics.commands_filter.removesuffix("e2m/+")):
                one.receive(topic, payload)

    def _count(self) -> None:
        self.timeline.lasted = self.clock.elapsed
        self.timeline.counted = {
            "heartbeats": sum(one.beats for one in self._everests.values()),
            "communication checks": sum(one.checks for one in self._everests.values()),
        }
