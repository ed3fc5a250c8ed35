"""Two libraries loaded without what they load for uses that we never have.

structlog loads asyncio for its asynchronous loggers, APScheduler a pool of processes: 4 MiB of a station's memory, for
nothing. `load_lean` loads the two while a few names stand in for those packages. A release of theirs that asks for more
than these names is loaded the ordinary way: the station then has a little less memory to spare, and runs all the same.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_STAND_INS: Mapping[str, Mapping[str, Any]] = {
    "asyncio": {"iscoroutinefunction": inspect.iscoroutinefunction},
    "multiprocessing": {},
    "concurrent.futures.process": {"ProcessPoolExecutor": None, "BrokenProcessPool": RuntimeError},
}
_LIBRARIES = frozenset({"structlog", "apscheduler"})


def load_lean(load: Callable[[], object]) -> None:
    """Call `load`, which imports the two libraries, with the stand-ins in place; again without, should that fail."""
    try:
        with _stand_ins():
            load()
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] in _LIBRARIES]:
            del sys.modules[name]
        load()


@contextmanager
def _stand_ins() -> Iterator[None]:
    put = []
    for name, contents in _STAND_INS.items():
        if name not in sys.modules:
            module = ModuleType(name)
            vars(module).update(contents)
            sys.modules[name] = module
            put.append(name)
    try:
        yield
    finally:
        for name in put:
            del sys.modules[name]
