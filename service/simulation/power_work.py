"""What becomes of orders to reboot the machine or to restart EVerest."""

from collections.abc import Callable

from everest_system.fsm.events import Event
from everest_system.fsm.firmware.events import Booted, RebootFailed
from everest_system.fsm.orders import ActivateByReboot, ActivateByRestart, RebootMachine, RestartEverest
from everest_system.fsm.platform.events import EverestRestartDone, ResetFailed
from everest_system.simulation.firmware_work import QUICK_S
from everest_system.simulation.plan import Plan, ending
from everest_system.simulation.world import World


def reboot(world: World, order: ActivateByReboot | RebootMachine, order_reboot: Callable[[], None]) -> Plan:
    """Nobody answers a reboot that comes, or that was taken and never comes."""
    if world.behaviour.reboot == "fails":
        reason = "the reboot program failed"
        is_reset = isinstance(order, RebootMachine)
        return ending(QUICK_S, ResetFailed(order.work, reason) if is_reset else RebootFailed(order.work, reason))

    def end() -> None:
        if world.behaviour.reboot == "comes":
            order_reboot()

    return Plan(0, end)


def restart(world: World, order: ActivateByRestart | RestartEverest, begin: Callable[[Event], None]) -> Plan:
    """Once EVerest has started again, `begin`'s event says so."""
    is_reset = isinstance(order, RestartEverest)
    if world.behaviour.restart == "fails":
        reason = "the restart program failed"
        return ending(QUICK_S, ResetFailed(order.work, reason) if is_reset else RebootFailed(order.work, reason))

    def end() -> None:
        begin(EverestRestartDone(order.work) if is_reset else Booted(order.work))

    return Plan(0, end)
