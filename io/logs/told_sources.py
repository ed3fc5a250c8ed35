"""What is collected besides files: the systemd journal, the output of commands, what the service says of itself.

Each is optional: what is not there, fails or does not fit is in the manifest with the reason, and costs nothing else.
"""

import json
from collections.abc import Callable, Iterable, Sequence

from everest_system.io.logs.collect_request import CollectRequest
from everest_system.io.logs.journal import FORMS, JOURNALCTL, TIMEOUT_S, journal_argv
from everest_system.io.logs.manifest import OVER, Manifest
from everest_system.io.logs.program_output import Output, OutputError, caught

Add = Callable[[str, int, Iterable[bytes]], bool]
"""`add(member, length, blocks)`: whether it fits."""


def add_told(request: CollectRequest, manifest: Manifest, add: Add, tick: Callable[[], None]) -> None:
    """Add all that the source of a request names.

    Raises:
        OSError: the disk is full.
    """
    source = request.source
    if source.journal:
        _add_journal(request, manifest, add, tick)
    for command in source.commands:
        name, member = f"command {command.name}", f"commands/{command.name}.txt"
        try:
            with caught(
                command.argv, request.spool, max_bytes=command.max_bytes, timeout_s=command.timeout_s, tick=tick
            ) as output:
                if output.exit_code:
                    manifest.fail(name, _exit(command.argv, output))
                _add(manifest, add, member, output, name, command=command.argv[0], exit_code=output.exit_code)
        except OutputError as error:
            manifest.leave_out(name, str(error))
    for name, document in sorted(request.documents.items()):
        text = json.dumps(document, indent=1).encode() + b"\n"
        if add(f"everest-system/{name}.json", len(text), [text]):
            manifest.take(f"everest-system/{name}.json", service=name, bytes=len(text), notes=[])
        else:
            manifest.leave_out(f"service {name}", OVER)


def _add_journal(request: CollectRequest, manifest: Manifest, add: Add, tick: Callable[[], None]) -> None:
    source, window = request.source, request.window
    if window.empty:
        manifest.leave_out("journal", "the window is empty")
        return
    for form in FORMS:
        argv = journal_argv(source, window, form)
        try:
            with caught(
                argv,
                request.spool,
                max_bytes=source.journal_max_bytes,
                timeout_s=TIMEOUT_S,
                tick=tick,
                newest=form.record,
            ) as output:
                if output.exit_code:
                    manifest.fail("journal", _exit(argv, output))
                elif output.complaint:  # what it does not let us read, most of all
                    manifest.fail("journal", output.complaint)
                if output.exit_code and not output.length:
                    manifest.leave_out("journal", f"{JOURNALCTL} failed")
                else:
                    _add(manifest, add, form.member, output, "journal", journal=argv)
        except OutputError as error:
            manifest.leave_out("journal", str(error))
            return


def _add(manifest: Manifest, add: Add, member: str, output: Output, name: str, **about: object) -> None:
    if add(member, output.length, output.blocks()):
        manifest.take(member, **about, bytes=output.length, notes=output.notes)
    else:
        manifest.leave_out(f"{name}: {member}", OVER)


def _exit(argv: Sequence[str], output: Output) -> str:
    complaint = f": {output.complaint}" if output.complaint else ""
    if output.exit_code < 0:
        return f"{argv[0]} was killed by signal {-output.exit_code}{complaint}"
    return f"{argv[0]} ended with exit code {output.exit_code}{complaint}"
