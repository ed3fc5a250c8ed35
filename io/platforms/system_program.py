"""A program of the system's own that is told to do something, and says in its first line why it did not."""

from collections.abc import Callable, Sequence
from threading import Event

from everest_system.io.platforms.port import PlatformError
from everest_system.io.program import ProgramError


def tell(run: Callable[..., int], argv: Sequence[str], what: str, *, timeout_s: float, canceled: Event) -> None:
    """Have a program do its work.

    Args:
        run: runs it, as `io.program.run` does.
        what: stands in front of errors.

    Raises:
        PlatformError: it could not be run, or failed; with the first line that it said.
        CanceledError: `canceled` was set.
    """
    said: list[str] = []

    def listen(line: str) -> None:
        if not said:
            said.append(line)

    try:
        code = run(argv, timeout_s=timeout_s, canceled=canceled, on_line=listen)
    except ProgramError as error:
        raise PlatformError(f"{what}: {error}") from error
    if code != 0:
        raise PlatformError(f"{what}: {said[0] if said else f'{argv[0]} failed (exit code {code})'}")
