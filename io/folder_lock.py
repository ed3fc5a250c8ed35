"""One service for each state folder: two of them would write over each other's state.

The lock is the kernel's (`flock` on `STATE_DIR/lock`): it is gone with the process that held it, however that ended,
and the file itself is left behind. Programs that the service starts do not inherit it.
"""

import fcntl
import os
from pathlib import Path

from everest_system.io.store.database import StoreError, explained

_LONGEST_PID = 20


class FolderLock:
    """Holds `folder` for this process until `release`.

    Raises:
        StoreError: another running service holds it, or the lock file cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        file = folder / "lock"
        with explained(file):
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            except BlockingIOError as error:
                owner = os.pread(descriptor, _LONGEST_PID, 0).decode("ascii", "replace") or "unknown"
                os.close(descriptor)
                raise StoreError(
                    f"{folder} is in use by another running service (process {owner}): "
                    "stop that one, or give this one a station.state_dir of its own"
                ) from error
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Let another service have the folder; called once."""
        os.close(self._descriptor)
