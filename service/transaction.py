"""All that one event leads to, gathered until it is stored, and only then carried out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from everest_system.fsm.machine import Step
from everest_system.fsm.orders import Order
from everest_system.fsm.outbox import OutboxChange, OutboxRow
from everest_system.io.store.store import Change, Transition
from everest_system.module import Key

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Transaction:
    """What is to be written, and what is to be done once it is.

    Attributes:
        touched: machines whose snapshots may have changed.
        orders: with the module and the machine that gave them.
        answers: to the operator, each with the way to give it.
        forgotten: how many statuses a module's outbox had no room for.
    """

    touched: dict[Key, None] = field(default_factory=dict)
    added: list[OutboxRow] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    marked: list[OutboxRow] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    orders: list[tuple[str, str, Order]] = field(default_factory=list)
    answers: list[tuple[Callable[[dict[str, Any]], object], dict[str, Any]]] = field(default_factory=list)
    forgotten: dict[str, int] = field(default_factory=dict)

    def add_rows(self, change: OutboxChange) -> None:
        """Write what happened to the outbox."""
        self.added += change.added
        self.removed += change.removed
        self.marked += change.marked

    def add_steps(self, key: Key, at: datetime, steps: Sequence[Step]) -> None:
        """Write what the machine did into the history."""
        module_id, machine = key
        self.transitions += [
            Transition(
                at, module_id, machine, step.job, step.request_id, step.source, step.target, step.event, step.detail
            )
            for step in steps
        ]

    def change(self, snapshots: dict[Key, str]) -> Change:
        """The write, with the snapshots that differ from what is stored."""
        return Change(snapshots, self.added, self.removed, self.marked, self.transitions)

    def write_log(self) -> None:
        """Tell what has happened; once it is stored, for before that it may not come to happen."""
        for step in self.transitions:
            why = {"reason": step.detail} if step.detail else {}
            _log.info(
                f"{step.machine}: {step.source} -> {step.target}",
                module_id=step.module_id or None,
                request_id=step.request_id,
                cause=step.event,
                **why,
            )
        for module_id, count in self.forgotten.items():
            _log.warning("too many statuses wait: older ones are forgotten", module_id=module_id, count=count)
