"""The log collector's own process: `python -m everest_system.io.logs.collecting`, started by `collector` alone.

Reads a `CollectRequest` from standard input, one line, makes the archive, and writes lines of JSON:

    {"progress": [65536, 1048576]}
    {"collected": {"length": 1234, "files_taken": 2, "files_left_out": 1}}    or    {"failed": "why, in one line"}

It ends with whoever started it: when standard input ends, its process group is killed, whatever it does just then.
SIGTERM and SIGINT pass it by, for those who stop a service often mean its whole group: the service decides.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

from everest_system.io.logs.archive import collect
from everest_system.io.logs.collect_request import CollectError, CollectRequest
from everest_system.io.logs.priority import yield_to_others

PROGRESS_S = 0.1  # between two words of progress

Say = Callable[[dict[str, Any]], None]


def main() -> None:
    """Serve one request."""
    output = os.dup(1)
    os.dup2(2, 1)  # what a library may print is no message
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # not SIG_IGN, which programs that we start would inherit
    yield_to_others()
    line = sys.stdin.buffer.readline()
    threading.Thread(target=_end_with_service, daemon=True).start()

    def say(message: dict[str, Any]) -> None:
        os.write(output, json.dumps(message).encode() + b"\n")

    say(answer(line, say))


def answer(line: bytes, say: Say) -> dict[str, Any]:
    """Do what a line asks for; progress is said on the way, the last word is returned."""
    said_s = 0.0

    def on_progress(done: int, total: int) -> None:
        nonlocal said_s
        now = monotonic()
        if now - said_s >= PROGRESS_S:
            said_s = now
            say({"progress": [done, total]})

    try:
        collected = collect(CollectRequest.from_json(line), canceled=threading.Event(), on_progress=on_progress)
    except CollectError as error:
        return {"failed": str(error)}
    except Exception as error:  # noqa: BLE001  # a bug of ours, and yet the request must end
        return {"failed": f"internal error of the log collector: {type(error).__name__}"}
    return {
        "collected": {
            "length": collected.length,
            "files_taken": collected.files_taken,
            "files_left_out": collected.files_left_out,
        }
    }


def _end_with_service() -> None:
    os.read(0, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
