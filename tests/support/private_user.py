"""A user with a password who exists for one server program only; the machine's own users are left alone.

The program runs in a mount namespace of its own, in which the files that name users are ours, and the folder that it
serves stands at `HOME`, where that user may go. It runs in a process namespace of its own too: when it is killed, all
that it has started ends with it. Taking namespaces takes root.
"""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.peers import program, require

USER, PASSWORD = "station", "secret"
USER_ID = 54321
HOME = "/run/station"
_SCRIPT = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p {home} {folders}
{binds}
"$@" &  # not in place of this shell: the first process of a namespace inherits all orphans
wait
"""


def as_private_user(
    folder: Path, served: Path, *, folders: str = "", files: Mapping[str, str] | None = None
) -> list[str]:
    """What to put before a server's command, so that it has this user.

    Args:
        folder: for our files.
        served: the folder that is the user's home; the user may write into `in` there.
        folders: below /run, that the program wants.
        files: contents of further files of the machine's that it is to see, by path.
    """
    unshare = require("unshare", program("unshare"), "a server with a user of its own")
    openssl = require("openssl", program("openssl"), "a server with a user of its own")
    _skip_without_namespaces()
    os.chown(served / "in", USER_ID, USER_ID)
    hashed = subprocess.run([openssl, "passwd", "-6", PASSWORD], check=True, capture_output=True, text=True).stdout
    mine = {
        "/etc/passwd": f"{Path('/etc/passwd').read_text()}{USER}:x:{USER_ID}:{USER_ID}::{HOME}:/bin/sh\n",
        "/etc/group": f"{Path('/etc/group').read_text()}{USER}:x:{USER_ID}:\n",
        "/etc/shadow": f"root:*:::::::\nsshd:*:::::::\nnobody:*:::::::\n{USER}:{hashed.strip()}:::::::\n",
        **(files or {}),
    }
    binds = [f"mount --rbind '{served}' {HOME}"]
    for path, content in mine.items():
        file = folder / path.replace("/", "_")
        file.write_text(content)
        binds.append(f"mount --bind '{file}' {path}")
    script = _SCRIPT.format(home=HOME, folders=folders, binds="\n".join(binds))
    return [unshare, "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, "sh"]


def _skip_without_namespaces() -> None:
    if os.geteuid() != 0:
        pytest.skip("a server with a user of its own takes root")
    if subprocess.run(["unshare", "--mount", "--pid", "--fork", "true"], check=False, capture_output=True).returncode:
        pytest.skip("mount and process namespaces cannot be made here")
