"""The command line in this process: exit code, standard output, standard error.

code, out, err = run_cli("status", "-c", file)
"""

import contextlib
import io

from everest_system.cli import main


def run_cli(*arguments: object) -> tuple[int, str, str]:
    """Run a command."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    for stream in (out, err):
        stream.seek(0)
    return code, out.read(), err.read()
