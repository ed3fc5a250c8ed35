"""Where the disk is full: what the station can do without goes, before the station itself does.

In this order: databases that were set aside, then downloads and archives of jobs that are over as the store has it.
What a job under way still needs is never touched. If that does not help, the fault goes on to whoever asked for the
write, and the process ends; its next start tries again.
"""

from collections.abc import Callable
from contextlib import suppress

import structlog

from everest_system.configuration.settings import Settings
from everest_system.fsm.errors import WorldError
from everest_system.io.store.store import Change, DiskFullError, Store, StoreReader, remove_damaged
from everest_system.salvage import salvage
from everest_system.wiring import Tidy, load_modules, tidy_up

_log = structlog.get_logger(__name__)


def open_store(settings: Settings, tidy: Tidy) -> Store:
    """Open the store, on a full disk after making room.

    Raises:
        DiskFullError: there is no room even so.
        StoreError: it cannot be used for another reason.
    """
    folder = settings.station.state_dir
    try:
        return Store.open(folder)
    except DiskFullError as error:
        _log.error(f"{error}; removing what is not needed any more")
        make_room(settings, tidy)
        return Store.open(folder)


def make_room(settings: Settings, tidy: Tidy) -> None:
    """Remove what no job under way needs."""
    folder = settings.station.state_dir
    with suppress(WorldError, OSError):
        remove_damaged(folder)
    with suppress(WorldError, OSError), StoreReader.open(folder) as reader:
        tidy_up(load_modules(settings, salvage(reader.load()).saved), tidy)


class MemoryWithRoom:
    """The store's one write, tried a second time after `make_room` when the disk is full."""

    def __init__(self, store: Store, make_room: Callable[[], None]) -> None:
        self._store, self._make_room = store, make_room

    def commit(self, change: Change) -> None:
        """All of it, or nothing.

        Raises:
            DiskFullError: there is no room, whatever was removed.
            StoreError: it cannot be written for another reason.
        """
        try:
            self._store.commit(change)
        except DiskFullError as error:
            _log.error(f"{error}; removing what is not needed any more")
            self._make_room()
            self._store.commit(change)
