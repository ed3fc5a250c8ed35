"""Why the machine booted: the evidence, in the order in which it is looked at, and what it comes to.

Looked at at each start of the service: the first row that holds decides. Its word is kept until EVerest asks, and for
as long as the boot lasts. What was ordered counts before what the hardware says: many boards carry out a plain reboot
by their watchdog. `docs/platforms.md` shows these rows.
"""

from collections.abc import Callable
from dataclasses import dataclass

from everest_system.fsm.messages import BootReason


@dataclass(frozen=True, slots=True)
class BootFacts:
    """What the machine shows of its boot.

    Attributes:
        told: the word of the integrator's own file; None: there is none.
        watchdog: a watchdog has left its mark.
        forgotten: what was stored of boots and orders is lost.
        goes_on: the service never ended: it only took up other modules.
    """

    told: BootReason | None = None
    watchdog: bool = False
    forgotten: bool = False
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that there is to judge by.

    Attributes:
        facts: the machine's.
        booted: the boot id is another than at the last start, or there was none.
        ordered: the reason of a reboot that was ordered before it.
        was_told: EVerest has heard a reason for this boot.
    """

    facts: BootFacts
    booted: bool
    ordered: BootReason | None
    was_told: bool

    def is_boot_for(self, reason: BootReason) -> bool:
        """The machine booted, and a reboot for `reason` had been ordered."""
        return self.booted and self.ordered is reason


@dataclass(frozen=True, slots=True)
class EvidenceRow:
    """One kind of evidence.

    Attributes:
        reason: what it comes to; None: the word that it holds.
        seen: what it is, in words.
        holds: whether it is there.
    """

    reason: BootReason | None
    seen: str
    holds: Callable[[Evidence], bool]


R = BootReason

# fmt: off
BOOT_REASONS: tuple[EvidenceRow, ...] = (
    EvidenceRow(R.FIRMWARE_UPDATE,   "another boot id; an update, or its roll back, had ordered the reboot",
                lambda found: found.is_boot_for(R.FIRMWARE_UPDATE)),
    EvidenceRow(R.SCHEDULED_RESET,   "another boot id; EVerest had ordered the reboot, `scheduled` (OCPP's OnIdle)",
                lambda found: found.is_boot_for(R.SCHEDULED_RESET)),
    EvidenceRow(R.REMOTE_RESET,      "another boot id; EVerest had ordered the reboot",
                lambda found: found.is_boot_for(R.REMOTE_RESET)),
    EvidenceRow(R.LOCAL_RESET,       "another boot id; `everest-system reset` had ordered the reboot",
                lambda found: found.is_boot_for(R.LOCAL_RESET)),
    EvidenceRow(None,                "another boot id; `platform.boot_reason_file` has one of the nine words",
                lambda found: found.booted and found.facts.told is not None),
    EvidenceRow(R.WATCHDOG,          "another boot id; a watchdog's `bootstatus` has WDIOF_CARDRESET",
                lambda found: found.booted and found.facts.watchdog),
    EvidenceRow(R.UNKNOWN,           "what was stored of boots and orders is lost",
                lambda found: found.facts.forgotten),
    EvidenceRow(R.POWER_UP,          "another boot id, or the first start of all",
                lambda found: found.booted),
    EvidenceRow(R.APPLICATION_RESET, "the same boot id, another start of the service; EVerest was told a reason before",
                lambda found: found.was_told and not found.facts.goes_on),
)
# fmt: on


def judge(evidence: Evidence) -> BootReason | None:
    """The reason that `evidence` comes to; None: nothing speaks against the one that is known."""
    for row in BOOT_REASONS:
        if row.holds(evidence):
            return row.reason or evidence.facts.told
    return None
