"""`python -m bench [NAME…]`, from the repository's root: take the figures named, or all of them, and print them.

Not tests: nothing fails because a figure is high. Exit code 0, 1 if a bench could not be run to its end, 2 for an
unknown name. A bench whose peer is not on this machine is left out, and says so.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import downloads, log_replies, log_window, logs, memory, recovery, replies, residue, store
from bench.broker import AbsentError
from bench.figures import machine

BENCHES: dict[str, Callable[[Path], None]] = {
    "replies": replies.run,
    "memory": memory.run,
    "store": store.run,
    "recovery": recovery.run,
    "downloads": downloads.run,
    "logs": logs.run,
    "log_replies": log_replies.run,
    "residue": residue.run,
    "log_window": log_window.run,
}


def main(names: list[str]) -> int:
    """Run the benches and return the exit code."""
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        print(f"bench: there is no {', '.join(unknown)}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    print(machine())
    code = 0
    for name in names or BENCHES:
        print(f"\n== {name}", flush=True)
        with tempfile.TemporaryDirectory(prefix="everest-bench-") as folder:
            try:
                BENCHES[name](Path(folder))
            except AbsentError as absent:
                print(f"left out: {absent}")
            except Exception as error:  # noqa: BLE001  # the next one may still work
                code = 1
                print(f"bench: {name}: {error}", file=sys.stderr)
                _tell_logs(Path(folder))
    return code


def _tell_logs(folder: Path) -> None:
    for log in sorted(folder.glob("*.log")):
        for line in log.read_text(errors="replace").splitlines()[-5:]:
            print(f"  {log.name}: {line}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
