"""The station in virtual time: the real reactor, station and machines, with everything around them played."""

from everest_system.simulation.run import run
from everest_system.simulation.scenario import Scenario, ScenarioError, load, parse
from everest_system.simulation.simulation import Simulation
from everest_system.simulation.timeline import Entry, Timeline

__all__ = ["Entry", "Scenario", "ScenarioError", "Simulation", "Timeline", "load", "parse", "run"]
