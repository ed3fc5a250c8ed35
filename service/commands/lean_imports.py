"""Imports without the packages that our libraries load for what we never use.

structlog loads asyncio for its asynchronous loggers, APScheduler for coroutine jobs and a pool of processes too: 2 MiB
of a station's memory, for nothing. While `lean_imports` lasts they find a few names instead; what is loaded already
stays, and whoever imports the real thing later gets it.
"""

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

_STAND_INS: Mapping[str, Mapping[str, Any]] = {
    "asyncio": {"iscoroutinefunction": inspect.iscoroutinefunction},
    "concurrent.futures.process": {"ProcessPoolExecutor": None, "BrokenProcessPool": RuntimeError},
}


@contextmanager
def lean_imports() -> Iterator[None]:
    """Let imports do without what is not needed."""
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
