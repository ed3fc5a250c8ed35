"""Delivery: how statuses get from the machines through the outbox to EVerest.

A status is a row of its module's outbox in the transaction that causes it. The next row is sent when EVerest listens
and the last one is long enough ago; the broker's word and a later heartbeat make it delivered, which its machine is
told. `fsm.outbox` has the rules, here is what they are applied to: whoever holds the transaction calls, nothing is
committed in here, and nothing goes out but by `publish`, an order like others.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from everest_system.broker import Broker
from everest_system.fsm.events import Event, StatusDelivered, StatusSending
from everest_system.fsm.machine import Status
from everest_system.fsm.orders import Order
from everest_system.fsm.outbox import OutboxRow, Sending, message
from everest_system.fsm.presence.events import HeartbeatArrived
from everest_system.fsm.presence.machine import may_be_known
from everest_system.fsm.presence.snapshot import PresenceSnapshot
from everest_system.fsm.presence.states import PresenceState
from everest_system.io.mqtt.codec import encode_status
from everest_system.io.mqtt.link import PublishAcknowledged
from everest_system.module import Key, Module
from everest_system.ports import Timers
from everest_system.scheduling.clock import Clock
from everest_system.transaction import Transaction

SEND = "Send"
EARLY_S = 0.001  # rounding may let a timer fire this much before its time

Teller = Callable[[Transaction, Key, Event], object]


@dataclass(frozen=True, slots=True)
class PublishStatus(Order):
    """Let a status go out that is stored as sent."""

    sending: Sending
    status: Status


class Delivery:
    """The outboxes of all modules.

    Args:
        modules: by module id, their outboxes filled from the store.
        broker: takes the statuses.
        clock, timers: pace them; `owner` is whom the timers belong to.
        status_interval_s: at least this long between two statuses of a module.
        last_seq: the highest number that an outbox row ever had.
        tell: hands an event to a machine.
    """

    def __init__(
        self,
        modules: Mapping[str, Module],
        broker: Broker,
        clock: Clock,
        timers: Timers,
        owner: str,
        status_interval_s: float,
        last_seq: int,
        tell: Teller,
    ) -> None:
        self._modules, self._broker, self._clock, self._timers = modules, broker, clock, timers
        self._owner, self._status_interval_s, self._last_seq, self._tell = owner, status_interval_s, last_seq, tell

    def begin(self) -> None:
        """Go on behind what a start of ours has cut off."""
        for module in self._modules.values():
            module.outbox.begin_again()

    def disconnected(self) -> None:
        """The broker is gone."""
        for module in self._modules.values():
            module.outbox.disconnected()

    def post(self, transaction: Transaction, module_id: str, statuses: Iterable[Status]) -> None:
        """Put statuses behind the others, and forget what has become too much."""
        for status in statuses:
            outbox = self._modules[module_id].outbox
            self._last_seq += 1
            row = OutboxRow(self._last_seq, module_id, status)
            outbox.add([row])
            transaction.added.append(row)
            forgotten = outbox.trim()
            if forgotten:
                transaction.removed += forgotten
                transaction.forgotten[module_id] = transaction.forgotten.get(module_id, 0) + len(forgotten)

    # --- as Presence sees EVerest ---

    def follow(self, transaction: Transaction, module: Module, event: Event, after: PresenceSnapshot) -> None:
        """Presence comes to `after` by `event`: another EVerest, or a heartbeat that proves what was heard."""
        before = module.presence.snapshot
        if after.run != before.run:
            now_s = self._clock.now().monotonic
            registered_at = now_s if before.next_registered_at is None else before.next_registered_at
            began_at = now_s - module.presence.silence_s
            may_be_same = may_be_known(before, after, event, self._clock.now())
            transaction.add_rows(module.outbox.begin_run(began_at, registered_at, may_be_same=may_be_same))
        elif isinstance(event, HeartbeatArrived):
            self._hear(transaction, module)

    def repeat_early(
        self, transaction: Transaction, module: Module, before: PresenceSnapshot, after: PresenceSnapshot
    ) -> None:
        """Say again what went out too early, if Presence has come from `before` to a registered EVerest."""
        is_other = after.run != before.run or before.state is not PresenceState.REGISTERED
        if after.state is PresenceState.REGISTERED and is_other:
            change = module.outbox.repeat_early(self._last_seq + 1)
            self._last_seq += len(change.added)
            transaction.add_rows(change)

    def acknowledge(self, transaction: Transaction, event: PublishAcknowledged) -> None:
        """The broker has taken a status over."""
        sending = self._broker.acknowledged(event)
        if sending is None:
            return
        module = self._modules[sending.module_id]
        module.outbox.acknowledged(sending)
        if module.presence.snapshot.words_count:  # without heartbeats the broker's word has to do
            self._hear(transaction, module)

    def _hear(self, transaction: Transaction, module: Module) -> None:
        for row in module.outbox.heard():
            transaction.removed.append(row.seq)
            self._tell(
                transaction, (module.module_id, row.status.machine), StatusDelivered(row.status.job, row.status.word)
            )

    # --- sending ---

    def send_next(self, transaction: Transaction, module: Module) -> bool:
        """Order the next status to be published, if there is one, EVerest listens, and the last one is long ago."""
        presence = module.presence.snapshot
        row = module.outbox.next_row(presence) if self._broker.is_connected else None
        if row is None:
            return False
        now_s = self._clock.now().monotonic
        wait_s = module.last_sent + self._status_interval_s - now_s
        if wait_s > EARLY_S:
            self._timers.arm(self._owner, SEND, wait_s)
            return False
        sending, change = module.outbox.sending(row, presence, now_s)
        transaction.add_rows(change)
        transaction.orders.append((module.module_id, row.status.machine, PublishStatus(sending, row.status)))
        self._tell(transaction, (module.module_id, row.status.machine), StatusSending(row.status.job, row.status.word))
        return True

    def publish(self, order: PublishStatus) -> None:
        """Let a status go out; if the connection is gone already, it is not in flight."""
        module = self._modules[order.sending.module_id]
        module.last_sent = self._clock.now().monotonic
        is_firmware = order.status.machine == "firmware"
        topic = module.topics.firmware_update_status if is_firmware else module.topics.log_status
        if not self._broker.send(order.sending, topic, encode_status(message(order.status))):
            module.outbox.disconnected()
