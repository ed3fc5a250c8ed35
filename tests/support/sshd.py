"""A real SFTP server (OpenSSH), with one user, who is `USER` with `PASSWORD` and exists for it only.

    with Sshd(tmp_path) as sftp:
        (sftp.files / "fw.bin").write_bytes(image)
        download(sftp.url("/fw.bin"), ...)
        sftp.new_host_key()                   # from the next start on it is another server

The user sees `files` as `/`, and may write below `/in/` only. Its host key is an Ed25519 one.
"""

import subprocess
from pathlib import Path

from support.peers import program, require
from support.private_user import HOME, PASSWORD, USER, as_private_user
from support.server_process import HOST, ServerProcess

_CONFIG = """\
ListenAddress {host}:{port}
HostKey {folder}/host_key
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication {passwords}
KbdInteractiveAuthentication no
Subsystem sftp internal-sftp
ForceCommand internal-sftp
ChrootDirectory {home}
LogLevel VERBOSE
"""


class Sshd(ServerProcess):
    """The server while the context lasts.

    Args:
        folder: for its files, its configuration and its log; made where it is not there.
        passwords: whether one can log in with a password.
        host: the address it listens on.

    Attributes:
        files: what it serves.
    """

    def __init__(self, folder: Path, *, passwords: bool = True, host: str = HOST) -> None:
        self._binary = require("sshd", program("sshd"), "a real SFTP server")
        super().__init__(folder, host)
        self.files = folder / "files"
        (self.files / "in").mkdir(parents=True, exist_ok=True)
        self.files.chmod(0o755)
        self._passwords = passwords
        self.new_host_key()

    def url(self, path: str, userinfo: str = f"{USER}:{PASSWORD}") -> str:
        """Return the address of a path here."""
        return f"sftp://{userinfo}@{self.host}:{self.port}{path}"

    def new_host_key(self) -> None:
        """Make another host key, which counts from the next start on."""
        _new_key(self.folder / "host_key")

    @property
    def known_hosts_line(self) -> str:
        """What a known-hosts file says of this server."""
        kind, key = (self.folder / "host_key.pub").read_text().split()[:2]
        return f"[{self.host}]:{self.port} {kind} {key}\n"

    def user_key(self) -> Path:
        """Make a key that the user may log in with; return the private one's file."""
        key = self.folder / "user_key"
        public = _new_key(key)
        (self.files / ".ssh").mkdir(exist_ok=True)
        (self.files / ".ssh" / "authorized_keys").write_text(public)
        return key

    def command(self) -> list[str]:
        """The daemon with this configuration alone."""
        config = self.folder / "sshd_config"
        facts = {"host": self.host, "port": self.port, "folder": self.folder, "home": HOME}
        config.write_text(_CONFIG.format(**facts, passwords="yes" if self._passwords else "no"))
        inside = as_private_user(self.folder, self.files, folders="/run/sshd")
        return [*inside, self._binary, "-D", "-e", "-f", str(config)]


def _new_key(file: Path) -> str:
    """Make a key pair; return the public key as a line."""
    file.unlink(missing_ok=True)
    keygen = require("ssh-keygen", program("ssh-keygen"), "keys of an SFTP server")
    subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(file)], check=True, stdin=subprocess.DEVNULL)
    return file.with_suffix(".pub").read_text()
