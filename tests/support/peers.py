"""Real peers that a machine may lack: a test that needs one says so, and is skipped by name where it is not there.

With EVEREST_SYSTEM_REQUIRE_PEERS=1, as in CI, a missing peer is a failure instead.
"""

import os
import shutil
from typing import TypeVar

import pytest

T = TypeVar("T")


def require(name: str, found: T | None, why: str) -> T:
    """Give back what was found, or end the test because the peer `name` is missing; `why` says what needs it."""
    if found:
        return found
    message = f"{name} is not on this machine; needed for: {why}"
    if os.environ.get("EVEREST_SYSTEM_REQUIRE_PEERS") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def program(name: str) -> str | None:
    """Path of a program, also where daemons are kept and a user's PATH does not look."""
    path = os.environ.get("PATH", os.defpath)
    return shutil.which(name, path=os.pathsep.join((path, "/usr/local/sbin", "/usr/sbin", "/sbin")))


def mosquitto() -> str | None:
    """Path of the broker that EVerest is run with."""
    return program("mosquitto")
