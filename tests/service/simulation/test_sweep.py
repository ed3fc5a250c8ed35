"""What no story has thought of: crashes, restarts and broken connections at random moments of the stories.

`make soak` plays many. The seed of each is in its name; EVEREST_SYSTEM_SWEEP=123 plays that one again.
"""

import os
import random
from pathlib import Path

import pytest

from everest_system.simulation import Simulation, load
from everest_system.simulation.behaviour import EverestBehaviour
from everest_system.simulation.clock import FakeClock
from everest_system.simulation.invariants import violations
from everest_system.simulation.run import play, simulation_of

GRID = sorted((Path(__file__).parents[2] / "crash_grid").glob("*.toml"))
CHUNK, CHUNKS = 50, 40
CHOSEN = os.environ.get("EVEREST_SYSTEM_SWEEP")
LONGEST_S = 70.0
MOST_FAULTS = 4


def fault(simulation: Simulation, dice: random.Random) -> None:
    """One thing that goes wrong, now."""
    away_s = dice.choice([0.1, 0.4, 2.0, 7.5])
    match dice.choice(["kill", "kill", "power", "everest", "cut", "broker"]):
        case "kill":
            simulation.kill_service(away_s)
        case "power":
            simulation.cut_power(away_s)
        case "everest":
            simulation.end_everest("it fell over", away_s)
        case "cut":
            simulation.broker.cut()
        case _:
            simulation.set_broker("down")
            simulation.agenda.after(away_s, lambda: simulation.set_broker("up"))


def play_with_faults(seed: int) -> list[str]:
    """What does not hold after the story and the faults that `seed` stands for."""
    dice = random.Random(seed)
    scenario = load(dice.choice(GRID))
    with simulation_of(scenario) as simulation:
        everest = simulation.everest()
        # A CSMS asks for nothing before it has accepted the boot, which the times of the stories know nothing of.
        everest.behaviour = everest.behaviour.changed(EverestBehaviour(registers_after=0.1))
        told = []
        for _ in range(dice.randint(1, MOST_FAULTS)):
            at_s = dice.uniform(4.9, LONGEST_S)
            told.append(f"{at_s:.3f}")
            simulation.agenda.at(round(at_s * 1e6), lambda: fault(simulation, dice))
        play(scenario, simulation)
        lines = violations(simulation)
        if not lines:
            return []
        return [f"seed {seed}, {Path(scenario.name).stem}, faults at {', '.join(told)}: {line}" for line in lines]


@pytest.mark.soak
@pytest.mark.parametrize("first", [int(CHOSEN)] if CHOSEN else range(0, CHUNK * CHUNKS, CHUNK))
def test_random_faults(first: int) -> None:
    """Whatever goes wrong, and however often: nothing is lost."""
    with FakeClock.shared():
        lines = [line for seed in range(first, first + (1 if CHOSEN else CHUNK)) for line in play_with_faults(seed)]
    assert not lines, "\n".join(lines)


def test_a_few_random_faults() -> None:
    """The same, a few times in every run of the tests."""
    with FakeClock.shared():
        lines = [line for seed in range(20) for line in play_with_faults(seed)]
    assert not lines, "\n".join(lines)
