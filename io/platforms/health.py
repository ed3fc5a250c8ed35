"""The integrator's word on whether a station that booted into new firmware is well."""

from collections.abc import Sequence
from threading import Event

import structlog

from everest_system.io.program import ProgramError, run

_log = structlog.get_logger(__name__)


def health_check(argv: Sequence[str], timeout_s: float, canceled: Event) -> bool:
    """Run the program `argv`; exit code 0 is healthy, and so is a station without such a program.

    A program that cannot be run, or does not end within `timeout_s` seconds (0: as long as it takes), is unhealthy:
    firmware in which not even that works is not to be kept.

    Raises:
        CanceledError: `canceled` was set before there was an answer.
    """
    if not argv:
        return True
    try:
        code = run(argv, timeout_s=timeout_s, canceled=canceled)
    except ProgramError as error:
        _log.warning("health check failed", reason=str(error))
        return False
    if code != 0:
        _log.warning("health check failed", program=argv[0], exit_code=code)
    return code == 0
