"""OpenSSH's SFTP server on the loopback, for this user with a key of its own.

It offers one cipher only: clients of different ages would agree on different ones, and the figures tell ciphers apart.
"""

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

from bench import service
from bench.broker import HOST, AbsentError

_START_S = 10.0
_CONFIG = """\
ListenAddress {host}:{port}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/user_key.pub
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
ForceCommand internal-sftp
Ciphers aes128-ctr
MACs hmac-sha2-256
"""


@contextmanager
def sftp_server(served: Path, folder: Path) -> Iterator[str]:
    """Serve `served`, and yield its address; `folder/user_key` logs in, `folder/known_hosts` knows the server.

    Raises:
        AbsentError: there is no sshd on this machine, or it does not start.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"))
    sshd, keygen = shutil.which("sshd", path=path), shutil.which("ssh-keygen", path=path)
    if sshd is None or keygen is None:
        raise AbsentError("sshd is not on this machine")
    for name in ("host_key", "user_key"):
        subprocess.run((keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)), check=True)
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd asks for it, and for nothing in it
    with socket.create_server((HOST, 0)) as held:  # it cannot choose a port itself
        port = held.getsockname()[1]
    kind, key = (folder / "host_key.pub").read_text().split()[:2]
    (folder / "known_hosts").write_text(f"[{HOST}]:{port} {kind} {key}\n")
    config = folder / "sshd_config"
    config.write_text(_CONFIG.format(host=HOST, port=port, folder=folder))
    with service.Process((sshd, "-D", "-e", "-f", str(config)), folder / "sshd.log") as process:
        _await(port, process)
        yield f"sftp://{getpass.getuser()}@{HOST}:{port}{served}/"


def _await(port: int, process: service.Process) -> None:
    deadline = monotonic() + _START_S
    while monotonic() < deadline and not process.has_ended:
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            sleep(0.02)
        else:
            return
    raise AbsentError("sshd does not start")
