"""Which file stands at a path, and when it was last written: what reading it does not change."""

from pathlib import Path


def written(path: Path) -> tuple[int, ...]:
    """The inode with its mode, length and times, save when it was read."""
    found = path.lstat()
    return (found.st_dev, found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
