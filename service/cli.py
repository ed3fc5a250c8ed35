"""The command line: `everest-system COMMAND`.

Exit codes: 0 done, 1 the job failed, 2 the arguments or the configuration are wrong, 130 interrupted by hand. An error
is one line on standard error, a wrong configuration one line for each wrong key. A traceback comes with `--debug` only:

    $ everest-system check-config -c station.toml
    mqtt.port: 70000 is out of range; allowed: a whole number, 1 to 65535 (station.toml:3)

Nothing heavy is imported here: a station that idles has `run -c FILE` in memory all day, so those words are understood
without the library that reads all others.
"""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from everest_system.fsm.errors import RequestError, WorldError

NAME = "everest-system"
FAILED, WRONG, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit code.

    Args:
        arguments: those behind the program's name; none: those of this process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # what a terminal cannot show is a question mark, not a traceback
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _run_service(given) if _is_plain_run(given) else _invoke(given)
        sys.stdout.flush()
    except BrokenPipeError:  # `everest-system history | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return code


def _is_plain_run(arguments: Sequence[str]) -> bool:
    match arguments:
        case ["run"]:
            return True
        case ["run", "-c" | "--config", file]:
            return not file.startswith("-")
    return False


def _run_service(arguments: Sequence[str]) -> int:
    before = signal.signal(signal.SIGTERM, _end_at_once)
    try:
        return _serve(arguments)
    finally:
        if signal.getsignal(signal.SIGTERM) is _end_at_once:
            signal.signal(signal.SIGTERM, before)


def _end_at_once(*_: object) -> None:
    """Until the service listens to signals: nothing runs yet."""
    sys.exit(0)


def _serve(arguments: Sequence[str]) -> int:
    from everest_system.commands.service_process import run_service

    try:
        run_service(Path(arguments[2]) if len(arguments) > 1 else None)
    except KeyboardInterrupt:  # before the service listens to signals
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last one to catch it
        return _tell(error)
    return 0


def _invoke(arguments: Sequence[str]) -> int:
    from everest_system.commands.app import Invocation, UsageError, invoke, usage_message

    invocation = Invocation()
    try:
        return invoke(arguments, invocation)
    except BrokenPipeError:
        raise
    except UsageError as error:
        sys.stderr.write(f"{usage_message(error)}\n")
        return WRONG
    except Exception as error:  # noqa: BLE001  # the last one to catch it
        if invocation.debug:
            import traceback

            traceback.print_exc()
        return _tell(error)


def _tell(error: Exception) -> int:
    """Say in a line, or one for each problem, what went wrong, and return the exit code for it."""
    from everest_system.commands.terminal import printable

    code, lines = _explained(error)
    for line in lines:
        sys.stderr.write(f"{printable(line)}\n")
    return code


def _explained(error: Exception) -> tuple[int, list[str]]:
    from everest_system.configuration.problems import ConfigurationError

    text = " ".join(str(error).split())
    if isinstance(error, ConfigurationError):
        return WRONG, error.problems
    if isinstance(error, RequestError):
        return WRONG, [f"{NAME}: {text}"]
    if isinstance(error, WorldError):
        return FAILED, [f"{NAME}: {text}"]
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return FAILED, [f"{NAME}: {where}{error.strerror or text}"]
    return FAILED, [f"{NAME}: internal error: {type(error).__name__}: {text} (--debug shows where)"]
