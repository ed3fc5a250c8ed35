"""Users and passwords of file servers, in a file of their own, in the form that curl and ftp read as `.netrc`.

    machine files.example login station password secret

One line for each server, by its host name or address; `default` and macros count for nothing, since a password must not
go to whatever server a request names. The file must not be open to others than its owner and group.
"""

import netrc
import os
import stat
from pathlib import Path

from everest_system.fsm.errors import WorldError

_MAX_BYTES = 1024 * 1024


class CredentialsError(WorldError):
    """The credentials file cannot be used; the message holds nothing of what is in it."""


def find(file: Path, host: str) -> tuple[str, str] | None:
    """Return user and password for a server, None when the file has none.

    Args:
        file: the credentials file.
        host: as it stands in the URL, in lower case.

    Raises:
        CredentialsError: the file cannot be read, is open to all, or is malformed.
    """
    try:
        with file.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            if facts.st_mode & stat.S_IRWXO:
                raise CredentialsError(f"{file} is open to all users: chmod o= {file}")
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MAX_BYTES:
                raise CredentialsError(f"{file} is no file of passwords")
        entries = netrc.netrc(str(file)).hosts
    except OSError as error:
        raise CredentialsError(f"cannot read {file}: {error.strerror}") from None
    except netrc.NetrcParseError as error:
        # Its own text may hold a password.
        raise CredentialsError(f"{file}, line {error.lineno}: malformed") from None
    except UnicodeDecodeError:
        raise CredentialsError(f"{file} is no text in UTF-8") from None
    for name, (user, _, password) in entries.items():
        if name.lower() == host and name != "default":
            return user or "", password or ""
    return None
