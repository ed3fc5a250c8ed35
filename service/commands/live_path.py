"""The state that a machine of the station is in, and how it came there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everest_system.commands.options import module_of
from everest_system.commands.station_status import station_status
from everest_system.io.store.store import HISTORY_LENGTH, StoreReader, Transition

if TYPE_CHECKING:
    from everest_system.configuration.settings import Settings


@dataclass(frozen=True, slots=True)
class LivePath:
    """Where a machine is, and its steps there as `diagrams.trail` wants them: (event, state entered).

    The first pair has no event: it names the state in which the path begins.
    """

    current: str
    steps: tuple[tuple[str, str], ...]


def live_path(settings: "Settings", name: str, module_id: str | None) -> LivePath:
    """The path of the current job, or of the last one when none runs.

    For machines without jobs: the path since they last left the state that they started in.

    Raises:
        WorldError: neither the service nor its store can be asked.
        typer.BadParameter: it is not clear which module is meant.
    """
    module_id = "" if name == "platform" else module_of(settings, module_id)
    report = station_status(settings)
    facts: dict[str, Any] = report["modules"][module_id][name] if module_id else report["platform"]
    with StoreReader.open(settings.station.state_dir) as store:
        history = store.history(HISTORY_LENGTH, module_id)
    return LivePath(facts["state"], steps([each for each in history if each.machine == name]))


def steps(history: Sequence[Transition]) -> tuple[tuple[str, str], ...]:
    """The steps of the last job in one machine's history, or of the last round through its first state."""
    if not history:
        return ()
    last = [each for each in history if each.job == history[-1].job]
    beginning = max((place for place, each in enumerate(last) if each.source in _RESTING), default=0)
    return (("", last[beginning].source), *((each.event, each.target) for each in last[beginning:]))


_RESTING = frozenset({"IDLE", "ABSENT"})
