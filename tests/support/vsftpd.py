"""A real FTP server (vsftpd), with one user, who is `USER` with `PASSWORD` and exists for it only.

    with Vsftpd(tmp_path) as ftp:
        (ftp.files / "fw.bin").write_bytes(image)
        download(ftp.url("/fw.bin"), ...)
        ftp.commands()                        # ["USER station", …, "RETR fw.bin", "QUIT"]

The user may write below `/in/` only. With `tls` it speaks TLS after AUTH TLS and insists on it, with `implicit` from
the first byte (ftps); data connections then have to resume the TLS session of their control connection.
"""

import re
from pathlib import Path

from support.http_server import Certificate
from support.peers import program, require
from support.private_user import PASSWORD, USER, as_private_user
from support.server_process import HOST, ServerProcess

_CONFIG = """\
listen=YES
background=NO
anonymous_enable=NO
local_enable=YES
write_enable=YES
local_umask=022
chroot_local_user=YES
secure_chroot_dir=/run/empty
pam_service_name=vsftpd
delay_failed_login=0
delay_successful_login=0
seccomp_sandbox=NO
xferlog_enable=YES
log_ftp_protocol=YES
"""
_PAM = "auth required pam_unix.so nodelay\naccount required pam_unix.so\n"


class Vsftpd(ServerProcess):
    """The server while the context lasts.

    Args:
        folder: for its files, its configuration and its log; made where it is not there.
        tls: its certificate and key; None: no TLS.
        implicit: ftps.
        options: further lines of its configuration, or other ones, by their names there.
        host: the address it listens on.

    Attributes:
        files: what it serves.
        options: the further lines; from the next start on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tls: Certificate | None = None,
        implicit: bool = False,
        options: dict[str, str] | None = None,
        host: str = HOST,
    ) -> None:
        self._binary = require("vsftpd", program("vsftpd"), "a real FTP server")
        super().__init__(folder, host)
        self.files = folder / "files"
        (self.files / "in").mkdir(parents=True, exist_ok=True)
        self.files.chmod(0o755)
        self.options = options or {}
        self._tls, self._implicit = tls, implicit

    def url(self, path: str, userinfo: str = f"{USER}:{PASSWORD}") -> str:
        """Return the address of a path here."""
        return f"{'ftps' if self._implicit else 'ftp'}://{userinfo}@{self.host}:{self.port}{path}"

    def commands(self) -> list[str]:
        """The FTP commands that came so far, with their arguments."""
        log = self.folder / "log"
        return re.findall(r'FTP command: Client "[^"]*", "([^"]*)"', log.read_text()) if log.exists() else []

    def command(self) -> list[str]:
        """Vsftpd with this configuration alone."""
        options = {
            "listen_address": self.host,
            "listen_port": str(self.port),
            "pasv_address": self.host,
            "vsftpd_log_file": str(self.folder / "log"),
        }
        if self._tls:
            options |= {
                "ssl_enable": "YES",
                "rsa_cert_file": str(self._tls.cert_file),
                "rsa_private_key_file": str(self._tls.key_file),
                "implicit_ssl": "YES" if self._implicit else "NO",
            }
        config = self.folder / "vsftpd.conf"
        config.write_text(_CONFIG + "".join(f"{key}={value}\n" for key, value in (options | self.options).items()))
        inside = as_private_user(self.folder, self.files, folders="/run/empty", files={"/etc/pam.d/vsftpd": _PAM})
        return [*inside, self._binary, str(config)]
