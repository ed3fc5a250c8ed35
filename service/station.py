"""The station: one event at a time, in one thread.

1. The event goes to the machines that it concerns, and these say what follows from it.
2. One transaction writes the new snapshots, the statuses for the outbox, the history.
3. The log tells it, the timers are aimed, the orders carried out.

Then `delivery` sends what it may, by the same three steps.

Nothing that the outside can see happens before the transaction that records it. An exception anywhere ends the
process, and the next start goes on from the store.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from everest_system.broker import RECONNECT, Broker
from everest_system.delivery import EARLY_S, Delivery, PublishStatus
from everest_system.fsm.deadlines import After, At, remaining
from everest_system.fsm.errors import WorldError
from everest_system.fsm.events import Event
from everest_system.fsm.machine import Outcome, TableMachine
from everest_system.fsm.messages import CommunicationCheck
from everest_system.fsm.orders import Order, Reply, Tell
from everest_system.fsm.platform.events import FirmwareHeard, FirmwareSettled
from everest_system.fsm.platform.machine import PlatformMachine
from everest_system.fsm.platform.states import PlatformState
from everest_system.fsm.presence.events import BrokerFound, BrokerLost
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.inbox import Inbox
from everest_system.io.control.server import ControlRequest
from everest_system.io.mqtt.codec import encode_status
from everest_system.io.mqtt.link import Connected, Disconnected, MessageArrived, PublishAcknowledged
from everest_system.module import Key, Module
from everest_system.operator import Operator
from everest_system.ports import Memory, SystemTimeSet, Timers, Wire, WorkReport, Workshop
from everest_system.reception import Reception
from everest_system.report import PLATFORM
from everest_system.scheduling.clock import Clock
from everest_system.scheduling.reactor import TimerFired
from everest_system.transaction import Transaction

OWN = "station"  # the owner of the timers that belong to no machine
COMMUNICATION_CHECK = "CommunicationCheck"
LEAST_INTERVAL_S = 0.1  # between signs of life, whatever is configured: the loop has other things to do

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Edges:
    """All that the station touches, each behind a port."""

    clock: Clock
    timers: Timers
    memory: Memory
    wire: Wire
    workshop: Workshop


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the station speaks; in seconds, from 0 on.

    Attributes:
        status_interval_s: at least this long between two statuses of a module: bursts end EVerest's consumers.
        communication_check_interval_s: between two signs of life.
    """

    status_interval_s: float = 0.1
    communication_check_interval_s: float = 1.5


class Station:
    """All modules of one process, and the machine underneath that they share.

    Args:
        edges: the outside.
        modules: by module id, as loaded from the store, with their outboxes filled.
        platform: as loaded from the store.
        inbox: reads commands.
        pace: how often to speak.
        last_seq: the highest number that an outbox row ever had.
    """

    def __init__(
        self,
        edges: Edges,
        modules: Mapping[str, Module],
        platform: PlatformMachine,
        inbox: Inbox,
        pace: Pace,
        last_seq: int,
    ) -> None:
        self.edges = edges
        self.modules = dict(modules)
        self.platform = platform
        self._machines: dict[Key, TableMachine[Any]] = {PLATFORM: platform}
        for module in self.modules.values():
            self._machines.update(((module.module_id, machine.name), machine) for machine in module.machines)
        self.broker = Broker(edges.wire, edges.timers, OWN)
        self._reception = Reception(self.modules, self.broker)
        self._delivery = Delivery(
            self.modules, self.broker, edges.clock, edges.timers, OWN, pace.status_interval_s, last_seq, self.tell
        )
        self._inbox = inbox
        self._pace = pace
        self._stored: dict[Key, str] = {}
        self._operator = Operator(self, inbox.resets)

    # --- life ---

    def start(self) -> None:
        """Go on where the store says that we were, then look for the broker."""
        transaction = Transaction()
        now = self.edges.clock.now()
        for key, machine in self.machines():
            self._stored[key] = machine.snapshot.model_dump_json()
        self._delivery.begin()
        for key, machine in self.machines():
            self._adopt(transaction, key, machine, machine.recover(now))
        if not self.is_busy:  # an update that a reset waits for may be gone, with its module or its snapshot
            self.tell(transaction, PLATFORM, FirmwareSettled())
        self._finish(transaction)
        self.edges.timers.arm(OWN, COMMUNICATION_CHECK, 0)
        self.broker.connect()

    def stop(self, *, end_communication_check: bool) -> None:
        """Say goodbye; `end_communication_check` has EVerest stop waiting for signs of life."""
        if end_communication_check:
            self._check_communication(alive=False)
        self.broker.close()

    def note_clean_stop(self) -> None:
        """Remember, as the last thing, that nothing crashed: the next start does not count against any step."""
        transaction, now = Transaction(), self.edges.clock.now()
        for key, machine in self.machines():
            self._adopt(transaction, key, machine, machine.note_clean_stop(now))
        assert not transaction.orders, "nobody is left to carry out anything"
        self._commit(transaction)

    def machines(self) -> list[tuple[Key, TableMachine[Any]]]:
        """All machines with their keys in the store; the platform first: the others may tell it something."""
        return list(self._machines.items())

    @property
    def is_busy(self) -> bool:
        """Some update is in a part that must not be interrupted (B11.FR.06)."""
        return any(module.is_busy for module in self.modules.values())

    @property
    def may_start_anew(self) -> bool:
        """Neither an update in such a part nor a reset on its way would be disturbed."""
        return not self.is_busy and self.platform.snapshot.state is PlatformState.IDLE

    # --- one event: its transaction, its orders ---

    def handle(self, event: Any) -> None:
        """Take one event from the reactor."""
        transaction = Transaction()
        match event:
            case MessageArrived():
                self._read(transaction, event)
            case TimerFired():
                self._fire(transaction, event)
            case WorkReport():
                self.tell(transaction, (event.module_id, event.machine), event.event)
            case SystemTimeSet():
                reply = Reply("set_system_time", event.reply_to, event.done)
                transaction.orders.append((event.module_id, "", reply))
            case PublishAcknowledged():
                self._delivery.acknowledge(transaction, event)
            case Connected():
                if self.broker.connected(event):
                    self._check_communication(alive=True)
                    self._tell_presence(transaction, BrokerFound())
            case Disconnected():
                if self.broker.disconnected(event):
                    self._delivery.disconnected()
                    self._tell_presence(transaction, BrokerLost())
            case ControlRequest():
                self._operator.answer(transaction, event)
            case _:
                raise AssertionError(f"an event without a meaning: {event!r}")
        self._finish(transaction)

    def _finish(self, transaction: Transaction) -> None:
        """Store what has happened, do what follows from it, then let each module say what is next."""
        self._conclude(transaction)
        for module in self.modules.values():
            sending = Transaction()
            if self._delivery.send_next(sending, module):
                self._conclude(sending)

    def _conclude(self, transaction: Transaction) -> None:
        try:
            self._commit(transaction)
        except WorldError:  # the process ends: nobody shall wait for minutes for an answer of ours
            for _, _, order in transaction.orders:
                self._reception.decline(order)
            for respond, _ in transaction.answers:
                respond({"error": "it could not be stored: the service ends"})
            raise
        for respond, answer in transaction.answers:
            respond(answer)
        for module_id, machine, order in transaction.orders:
            self._carry_out(module_id, machine, order)

    def _commit(self, transaction: Transaction) -> None:
        machines = self._machines
        written = {}
        for key in transaction.touched:
            text = machines[key].snapshot.model_dump_json()
            if text != self._stored.get(key):
                written[key] = text
        self.edges.memory.commit(transaction.change(written))
        self._stored.update(written)
        transaction.write_log()
        for key in transaction.touched:
            snapshot = machines[key].snapshot
            self.edges.timers.aim("/".join(key), snapshot.job, snapshot.timers)

    def _carry_out(self, module_id: str, machine: str, order: Order) -> None:
        match order:
            case Reply():
                self._reception.reply(order)
            case PublishStatus():
                self._delivery.publish(order)
            case _:
                self.edges.workshop.carry_out(module_id, machine, order)

    # --- what events mean ---

    def _read(self, transaction: Transaction, event: MessageArrived) -> None:
        received = self._reception.receive(event)
        if received is None:
            return
        module, command = received
        self._perceive(transaction, module, self._inbox.presence(command))
        meaning = self._inbox.read(command, module, self.edges.clock.now(), busy=self.is_busy)
        for machine, fact in meaning.events:
            self.tell(transaction, PLATFORM if machine == "platform" else (module.module_id, machine), fact)
        transaction.orders += [(module.module_id, "", order) for order in meaning.orders]

    def _fire(self, transaction: Transaction, timer: TimerFired) -> None:
        if timer.owner == OWN:
            if timer.name == COMMUNICATION_CHECK:
                self._check_communication(alive=True)
                interval_s = max(self._pace.communication_check_interval_s, LEAST_INTERVAL_S)
                self.edges.timers.arm(OWN, COMMUNICATION_CHECK, interval_s)
            elif timer.name == RECONNECT:
                self.broker.connect()
            return  # Send: what is to be sent is looked at behind every event
        module_id, _, name = timer.owner.rpartition("/")
        machine = self._machines[module_id, name]
        deadline = machine.snapshot.timers.get(timer.name)
        if deadline is None or timer.job != machine.snapshot.job:
            return
        if self._is_outdated(deadline):
            transaction.touched[module_id, name] = None
            return
        event = machine.timer_event(timer.name)
        if name == "presence":
            self._perceive(transaction, self.modules[module_id], event)
        else:
            self.tell(transaction, (module_id, name), event)

    def _is_outdated(self, deadline: At | After) -> bool:
        """Whether `deadline` was set anew, or a clock was, while its timer was on its way here.

        What is left of a duration that began in another boot is a guess by the wall clock, which may be years behind:
        asked anew, it would be the whole duration each time. The timer has measured it.
        """
        now = self.edges.clock.now()
        if isinstance(deadline, After) and deadline.boot_id != now.boot_id:
            return False
        return remaining(deadline, now) > EARLY_S

    # --- machines ---

    def tell(self, transaction: Transaction, key: Key, event: Event) -> bool:
        """Hand `event` to a machine; whether its table had a row for it."""
        machine = self._machines[key]
        outcome = machine.handle(event, self.edges.clock.now())
        self._adopt(transaction, key, machine, outcome)
        return outcome.taken

    def _adopt(self, transaction: Transaction, key: Key, machine: TableMachine[Any], outcome: Outcome[Any]) -> None:
        module_id, name = key
        machine.adopt(outcome)
        transaction.touched[key] = None
        transaction.add_steps(key, self.edges.clock.now().wall, outcome.steps)
        self._delivery.post(transaction, module_id, outcome.statuses)
        for order in outcome.orders:
            if isinstance(order, Tell):
                self._pass_on(transaction, module_id, order)
            else:
                transaction.orders.append((module_id, name, order))

    def _pass_on(self, transaction: Transaction, module_id: str, order: Tell) -> None:
        if isinstance(order.event, FirmwareSettled | FirmwareHeard) and self.is_busy:
            return  # another module's update still has to be waited for, and will say so itself
        self.tell(transaction, PLATFORM if order.machine == "platform" else (module_id, order.machine), order.event)

    # --- presence ---

    def _tell_presence(self, transaction: Transaction, event: Event) -> None:
        for module in self.modules.values():
            self._perceive(transaction, module, event)

    def _perceive(self, transaction: Transaction, module: Module, event: Event) -> None:
        """Let Presence know, and the outbox what follows from it, before anybody else hears of a new EVerest."""
        before: PresenceSnapshot = module.presence.snapshot
        outcome = module.presence.handle(event, self.edges.clock.now())
        self._delivery.follow(transaction, module, event, outcome.snapshot)
        self._adopt(transaction, (module.module_id, "presence"), module.presence, outcome)
        self._delivery.repeat_early(transaction, module, before, outcome.snapshot)

    def _check_communication(self, *, alive: bool) -> None:
        for module in self.modules.values():
            self.broker.say(module.topics.communication_check, encode_status(CommunicationCheck(alive)))
