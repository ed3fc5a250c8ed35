"""A program of the system's own that is told to do something, and says in its first line why it did not.

systemd's own programs end the line of a lesser fault, which they go on after, with ", ignoring: " and its cause.
"""

from collections.abc import Callable, Sequence
from threading import Event
from typing import Final

from everest_system.io.platforms.port import PlatformError
from everest_system.io.program import ProgramError

_IGNORED: Final = ", ignoring"


def tell(run: Callable[..., int], argv: Sequence[str], what: str, *, timeout_s: float, canceled: Event) -> None:
    """Have a program do its work.

    Args:
        run: runs it, as `io.program.run` does.
        what: stands in front of errors.

    Raises:
        PlatformError: it could not be run, or failed; with the first line that it said of that.
        CanceledError: `canceled` was set.
    """
    said: list[str] = []

    def listen(line: str) -> None:
        if not said and _IGNORED not in line:
            said.append(line)

    try:
        code = run(argv, timeout_s=timeout_s, canceled=canceled, on_line=listen)
    except ProgramError as error:
        raise PlatformError(f"{what}: {error}") from error
    if code != 0:
        raise PlatformError(f"{what}: {said[0] if said else f'{argv[0]} failed (exit code {code})'}")
