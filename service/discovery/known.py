"""The modules that EVerest named last, in `STATE_DIR/modules.json`: a start without EVerest still has them.

Jobs are stored under their module's id, so a service that forgot its modules would leave their jobs undone.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from everest_system.configuration.setting_types import PlainName
from everest_system.configuration.settings import DEFAULT_MODULE_ID, Settings
from everest_system.fsm.errors import WorldError
from everest_system.io.durable import write_durably

MOST_MODULES: Final = 16
"""No station has as many; more would only be somebody's mischief."""

_FILE: Final = "modules.json"
_LARGEST_BYTES: Final = 16 * 1024
_SHARE: Final = 0.3  # of EVerest's patience: two checks in a row may be late or lost; 1.5 s of its 5 s by default

_log = structlog.get_logger(__name__)


class KnownModules(BaseModel):
    """What is known of EVerest's system modules.

    Attributes:
        periods_s: by module id, the silence of ours that it takes for a fault, in seconds; 0: it does not watch, or
            has not said.
        heard: EVerest said so; False: nobody answered, and the default is served instead.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    periods_s: dict[PlainName, Annotated[int, Field(ge=0)]] = Field(min_length=1, max_length=MOST_MODULES)
    heard: bool = True

    @property
    def module_ids(self) -> tuple[str, ...]:
        """In an order that does not depend on who answered first."""
        return tuple(sorted(self.periods_s))

    def interval_s(self, configured_s: float) -> float:
        """How long to leave between two communication checks: less than configured where EVerest is less patient.

        Never more: what EVerest raises at its start stands until our next check, however patient it is then.
        """
        return min([configured_s, *(_SHARE * period_s for period_s in self.periods_s.values() if period_s)])


ASSUMED: Final = KnownModules(periods_s={DEFAULT_MODULE_ID: 0}, heard=False)
"""What is served when nobody answers."""


def updated(
    known: KnownModules | None, found: Mapping[str, int], *, whole: bool, has_job: Callable[[str], bool]
) -> KnownModules:
    """What is known after EVerest has answered.

    A module that did not answer is kept as long as it has a job, and also if the others may only have been faster. Of
    more modules than `MOST_MODULES` those stay that were known before.

    Args:
        known: before; None: nothing.
        found: the modules that answered, one at least, with their periods.
        whole: every module had been able to answer.
        has_job: whether a module has a job that has not ended.
    """
    before = {} if known is None else known.periods_s
    forgets = whole or known is None or not known.heard
    kept = {name: period for name, period in before.items() if name in found or not forgets or has_job(name)}
    names = [*sorted(kept), *sorted(found.keys() - kept.keys())][:MOST_MODULES]
    return KnownModules(periods_s={name: found.get(name, before.get(name, 0)) for name in names})


def load(state_dir: Path) -> KnownModules | None:
    """What was known last; None where nothing was, or nothing that makes sense.

    Raises:
        WorldError: the file is there and cannot be read.
    """
    file = state_dir / _FILE
    try:
        with file.open("rb") as stream:
            content = stream.read(_LARGEST_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise WorldError(f"{file}: {error.strerror}") from error
    try:
        return KnownModules.model_validate_json(content)
    except ValidationError:
        _log.warning(f"{file} cannot be read: EVerest is asked for its modules anew")
        return None


def save(state_dir: Path, known: KnownModules) -> None:
    """Remember it.

    Raises:
        WorldError: it cannot be written.
    """
    file = state_dir / _FILE
    try:
        write_durably(file, known.model_dump_json().encode() + b"\n")
    except OSError as error:
        raise WorldError(f"{file}: {error.strerror}") from error


def settings_with(settings: Settings, known: KnownModules | None) -> Settings:
    """The settings with the modules that are known; without any as long as none is."""
    configured_s = settings.station.communication_check_interval_s
    if known is None:
        return settings.with_modules((), configured_s)
    return settings.with_modules(known.module_ids, known.interval_s(configured_s))
