"""A real FTP server for tests, demo and benchmark (pyftpdlib), with the few ways of misbehaving that matter.

with FtpServer(folder) as server:
    upload(archive, server.url("/logs/a.tar.gz"), ...)
    server.commands   # ["USER", "PASS", ..., "STOR"]
"""

import logging
import socket
import threading
import warnings
from pathlib import Path
from typing import ClassVar, Self

with warnings.catch_warnings():
    # On Python 3.11 it builds on the deprecated asyncore; later it brings its own.
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.filesystems import AbstractedFS
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer

ALL = "elradfmwMT"
READ_ONLY = "elr"


class FtpServer:
    """The server, in a thread of its own while the context lasts.

    Attributes:
        commands: the commands that came, in order, over all sessions; without QUIT, for whose answer no client waits:
            it comes at some time after the transfer has ended for the client.
        cut_at: break a download after that many bytes; None: not.
        cut_upload_at: break an upload's connections once that many bytes are stored; None: not.
        loses_from: store no more than that many bytes of an upload, and say that all is well; None: store all.
        full: break an upload for want of space.

    Args:
        root: the folder it serves.
        permissions: pyftpdlib's letters, `ALL` or `READ_ONLY`.
        without: commands that it does not know, such as REST, MDTM or SIZE.
        greeting: another first answer, such as "421 busy".
    """

    def __init__(
        self,
        root: Path,
        *,
        user: str = "station",
        password: str = "secret",
        permissions: str = ALL,
        without: tuple[str, ...] = (),
        greeting: str | None = None,
        port: int = 0,
    ) -> None:
        logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)
        self.commands: list[str] = []
        self.cut_at: int | None = None
        self.cut_upload_at: int | None = None
        self.loses_from: int | None = None
        self.full = False
        self.user, self.password = user, password
        handler = _handler(self, without, greeting)
        handler.authorizer = DummyAuthorizer()
        handler.authorizer.add_user(user, password, str(root), perm=permissions)
        self._server = FTPServer(("127.0.0.1", port), handler)
        self.port: int = self._server.address[1]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def url(self, path: str = "", *, user: str | None = None, password: str | None = None) -> str:
        """Return the address of a path here, with the server's own user and password unless told otherwise."""
        userinfo = f"{user or self.user}:{password or self.password}"
        return f"ftp://{userinfo}@127.0.0.1:{self.port}{path}"

    def _serve(self) -> None:
        while not self._stop.is_set():
            self._server.ioloop.loop(timeout=0.02, blocking=False)
        self._server.close_all()


def _handler(owner: FtpServer, without: tuple[str, ...], greeting: str | None) -> type[FTPHandler]:
    class Files(AbstractedFS):
        def open(self, filename, mode):
            file = super().open(filename, mode)
            if "r" not in mode:
                if owner.cut_upload_at is not None:
                    return _CutUpload(file, owner.cut_upload_at, self.cmd_channel)
                if owner.loses_from is not None:
                    return _LosingFile(file, owner.loses_from)
                return _FullDisk(file) if owner.full else file
            return file if owner.cut_at is None else _CutFile(file, owner.cut_at)

    class Handler(FTPHandler):
        abstracted_fs = Files
        use_sendfile = False
        auth_failed_timeout = 0
        proto_cmds: ClassVar = {name: spec for name, spec in FTPHandler.proto_cmds.items() if name not in without}

        def pre_process_command(self, line, cmd, arg):
            if cmd != "QUIT":
                owner.commands.append(cmd)
            super().pre_process_command(line, cmd, arg)

        def on_connect(self):
            if greeting:
                self.respond(greeting)
                self.close_when_done()

    return Handler


class _File:
    """A file that fails in its own way; for the rest it is the one that it stands for."""

    def __init__(self, file) -> None:
        self._file = file

    def __getattr__(self, name):
        return getattr(self._file, name)


class _CutFile(_File):
    def __init__(self, file, cut_at: int) -> None:
        super().__init__(file)
        self._left = cut_at

    def read(self, size):
        block = self._file.read(min(size, self._left))
        self._left -= len(block)
        if not block:
            raise OSError("cut")
        return block


class _CutUpload(_File):
    def __init__(self, file, cut_at: int, session: FTPHandler) -> None:
        super().__init__(file)
        self._left, self._session = cut_at, session

    def write(self, block):
        if self._left <= 0:
            for channel in (self._session, self._session.data_channel):
                channel.socket.shutdown(socket.SHUT_RDWR)
            raise OSError("cut")
        self._left -= len(block)
        return self._file.write(block)


class _LosingFile(_File):
    def __init__(self, file, room: int) -> None:
        super().__init__(file)
        self._room = room

    def write(self, block):
        self._file.write(block[: self._room])
        self._room -= min(self._room, len(block))
        return len(block)


class _FullDisk(_File):
    def write(self, block):
        raise OSError("No space left on device")
