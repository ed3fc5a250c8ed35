"""The integrator's word on whether a station that booted into new firmware is well."""

from collections.abc import Sequence
from threading import Event

from everest_system.io.program import ProgramError, run


def health_fault(argv: Sequence[str], timeout_s: float, canceled: Event) -> str:
    """Run the program `argv`, and say in one line what is wrong.

    A program that cannot be run, or does not end within `timeout_s` seconds (0: as long as it takes), is a fault too:
    firmware in which not even that works is not to be kept.

    Returns:
        "" if the exit code is 0, which is healthy, and so is a station without such a program.

    Raises:
        CanceledError: `canceled` was set before there was an answer.
    """
    if not argv:
        return ""
    try:
        code = run(argv, timeout_s=timeout_s, canceled=canceled)
    except ProgramError as error:
        return str(error)
    if code < 0:
        return f"{argv[0]} was ended by signal {-code}"
    return f"{argv[0]} exited with {code}" if code else ""
