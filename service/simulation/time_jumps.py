"""How time passes in a simulation: in jumps, from one thing that happens to the next.

The reactor takes turns until nothing is left to do now; then the clock goes on to whatever is next. Heartbeats and
communication checks that nobody waits for are counted, not run: on the way to the next event only the last ones before
it take place, at their own time.
"""

from collections.abc import Callable, Sequence

from everest_system.broker import RECONNECT
from everest_system.fsm.presence.events import HeartbeatsMissing
from everest_system.fsm.presence.machine import BASELINE
from everest_system.fsm.presence.states import PresenceState
from everest_system.simulation.agenda import Agenda
from everest_system.simulation.broker import FakeBroker
from everest_system.simulation.clock import FakeClock, microseconds
from everest_system.simulation.everest import FakeEverest
from everest_system.simulation.service_life import ServiceLife
from everest_system.station import COMMUNICATION_CHECK, OWN

MOST_TURNS_AT_ONCE = 20_000  # more without time passing is a loop without an end
_CHECK = (OWN, COMMUNICATION_CHECK)
_RECONNECT = (OWN, RECONNECT)


class StuckError(RuntimeError):
    """Time does not go on: the station or the world has always something more to do now."""


class TimeJumps:
    """Moves the clock, and lets everybody do what is due.

    Args:
        clock, agenda, broker, everests: who has something to do at times.
        life: the service that runs now, if one does.
        turn: lets it take one event; whether there was one.
        check_interval_s: between two communication checks.
        counts: whether heartbeats and communication checks that nobody waits for are counted and not run.
    """

    def __init__(
        self,
        clock: FakeClock,
        agenda: Agenda,
        broker: FakeBroker,
        everests: Sequence[FakeEverest],
        *,
        life: Callable[[], ServiceLife | None],
        turn: Callable[[], bool],
        check_interval_s: float,
        counts: bool,
    ) -> None:
        self._clock, self._agenda, self._broker, self._everests = clock, agenda, broker, everests
        self._life, self._turn, self._check_interval_s, self._counts = life, turn, check_interval_s, counts

    def run(self, until: int | None) -> None:
        """Let time pass until `until`, in microseconds since the beginning; None: until all is quiet.

        Raises:
            StuckError: time does not go on.
        """
        self._settle()
        while True:
            stop = self._next_stop()
            if until is not None:
                stop = until if stop is None else min(stop, until)
            if stop is None or stop <= self._clock.elapsed:
                break
            self._step_towards(stop)

    def _settle(self) -> None:
        """Do all that is to be done now."""
        for _ in range(MOST_TURNS_AT_ONCE):
            if self._turn():
                continue
            if not self._agenda.keep() and not self._beat():
                return
        raise StuckError(f"always something more to do at {self._clock.elapsed / 1e6:.6f} s")

    def _beat(self) -> bool:
        """Send the heartbeats that are due now; whether there were any."""
        due = [one for one in self._everests if one.beats_reach_station and one.is_beat_due]
        for one in due:
            one.beat()
        return bool(due)

    def _step_towards(self, elapsed: int) -> None:
        """Jump there, or to the last of the things before it that are counted, and do what is to be done."""
        grid = self._check_grid()
        stop = self._last_check_before(self._last_beat_before(elapsed), grid)
        self._count_checks(stop, grid)
        self._clock.advance_to(stop)
        for one in self._everests:
            if not one.beats_reach_station:
                one.lose_beats()
        self._beat()  # before the timers: one that waits for a heartbeat sees it came
        self._settle()

    def _next_stop(self) -> int | None:
        """When the next thing is that is worth a stop; None if all is quiet."""
        stops = []
        if self._agenda.next_at is not None:
            stops.append(self._agenda.next_at)
        life = self._life()
        if life is not None:
            left = life.reactor.seconds_left()
            stops += [self._due(left_s) for key, left_s in left.items() if not self._may_wait(key)]
        stops += [one.next_beat_at for one in self._everests if self._awaits_beat(one)]
        return min(stops, default=None)

    def _due(self, left_s: float) -> int:
        """When a timer is due; time always goes on by a little, whatever the rounding."""
        return self._clock.elapsed + max(microseconds(left_s), 1)

    def _may_wait(self, key: tuple[str, str]) -> bool:
        """A timer that nothing new can come of."""
        if not self._counts:
            return False
        owner, name = key
        if key == _CHECK:
            return True
        if key == _RECONNECT:
            return self._broker.health != "up"
        module_id, _, machine = owner.rpartition("/")
        if machine != "presence" or name != HeartbeatsMissing.__name__:
            return False
        return any(one.topics.module_id == module_id and one.beats_reach_station for one in self._everests)

    def _awaits_beat(self, one: FakeEverest) -> bool:
        """Somebody waits for a heartbeat: the outbox, or Presence, which has to meet EVerest first."""
        life = self._life()
        if life is None or not one.beats_reach_station:
            return False
        module = life.station.modules[one.topics.module_id]
        presence = module.presence.snapshot
        is_new = (
            one.is_fresh
            or presence.state is PresenceState.ABSENT
            or presence.number is None
            or presence.number - presence.first_number < BASELINE
        )
        return not self._counts or is_new or module.outbox.awaits_heartbeat

    @staticmethod
    def _last_check_before(elapsed: int, grid: tuple[int, int] | None) -> int:
        """When the last communication check is on the way to `elapsed`; that itself if there is none.

        It is run at its own time, so that those after it keep theirs; a heartbeat that is due before it comes with it.
        """
        if grid is None or grid[0] > elapsed:
            return elapsed
        due, period = grid
        return due + (elapsed - due) // period * period

    def _last_beat_before(self, elapsed: int) -> int:
        """Likewise for heartbeats: Presence shall not miss them. All modules' EVerest is one, and beats at one time."""
        beats = (one.last_beat_at(elapsed) for one in self._everests if one.beats_reach_station)
        return min((at for at in beats if at > self._clock.elapsed), default=elapsed)

    def _check_grid(self) -> tuple[int, int] | None:
        """When the next communication check is due, and the time between two; None if nobody would hear it."""
        life = self._life()
        if life is None or not self._broker.has_station:
            return None
        left_s = life.reactor.seconds_left().get(_CHECK)
        period = microseconds(self._check_interval_s)
        return None if left_s is None else (self._due(left_s), max(period, 1000))

    def _count_checks(self, stop: int, grid: tuple[int, int] | None) -> None:
        """Those that are left out on the way to `stop` came too."""
        if grid is None or grid[0] >= stop:
            return
        due, period = grid
        number = (stop - due) // period  # the stop is one of them, which is run
        for one in self._everests:
            one.count_checks(number, stop - period)
