"""A disk that remembers every change made to it, and what of them a power cut could have left.

Below one folder, each call that changes names or content is recorded, in order, beside being carried out. `crashes`
then gives what the disk may hold if the power goes after each of them. As POSIX has it, and no better:

- What was written to a file is on the disk once the file was synced; a name once its folder was. Until then each of the
  changes may be there or not, whatever the order they came in, and a write by half.
- A rename within a folder is there or is not.

Modes and times are not looked at. `matches` says whether the record tells the same story as the real folder, so that no
call can go by unseen.
"""

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Tree = tuple[tuple[str, str | bytes | None], ...]
"""Every path with its content: bytes of a file, the text of a link, None of a folder."""


@dataclass(frozen=True)
class Change:
    """One recorded call: a new content of a node, or, without `make`, its sync."""

    node: int
    make: Callable[[Any], Any] | None = None
    torn: Callable[[Any], Any] | None = None  # a write that came by half


class RecordedDisk:
    """Records what happens below `root` while it is used in a `with`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.nodes: list[Any] = []
        self.changes: list[Change] = []
        self._files: dict[int, int] = {}
        self._undo: list[tuple[Any, str, Any]] = []
        self._top = self._load(root)
        self._first = list(self.nodes)

    def _load(self, path: Path) -> int:
        number = len(self.nodes)
        self.nodes.append(None)
        if path.is_symlink():
            self.nodes[number] = str(path.readlink())
        elif path.is_dir():
            self.nodes[number] = {child.name: self._load(child) for child in path.iterdir()}
        else:
            self.nodes[number] = path.read_bytes()
        return number

    def __enter__(self) -> "RecordedDisk":
        for name in ("mkdir", "rmdir", "unlink", "symlink", "link", "rename", "replace", "open", "write", "ftruncate",
                     "fsync", "fdatasync", "close"):  # fmt: skip
            self._patch(os, name, getattr(self, f"_{name}"))
        self._patch(io, "open", self._stream)
        return self

    def __exit__(self, *_: object) -> None:
        for module, name, real in self._undo:
            setattr(module, name, real)

    def _patch(self, module: Any, name: str, record: Callable[..., Any]) -> None:
        real = getattr(module, name)
        self._undo.append((module, name, real))
        setattr(module, name, lambda *args, **options: record(real, *args, **options))

    # What is recorded

    def _place(self, path: Any) -> tuple[int, str] | None:
        """The folder's node and the name; None outside of the root."""
        path = Path(path).absolute()
        if not path.is_relative_to(self.root) or path == self.root:
            return None
        folder = self._top
        for name in path.relative_to(self.root).parts[:-1]:
            folder = self.nodes[folder][name]
        return folder, path.name

    def _change(self, node: int, make: Callable[[Any], Any], torn: Callable[[Any], Any] | None = None) -> None:
        self.nodes[node] = make(self.nodes[node])
        self.changes.append(Change(node, make, torn))

    def _name(self, place: tuple[int, str] | None, node: int) -> None:
        if place is not None:
            self._change(place[0], lambda names: {**names, place[1]: node})

    def _forget(self, place: tuple[int, str] | None) -> None:
        if place is not None:
            self._change(place[0], lambda names: {name: node for name, node in names.items() if name != place[1]})

    def _new(self, content: Any) -> int:
        self.nodes.append(content)
        self._first.append(content)
        return len(self.nodes) - 1

    def _mkdir(self, real: Any, path: Any, *rest: Any, **options: Any) -> None:
        real(path, *rest, **options)
        self._name(self._place(path), self._new({}))

    def _symlink(self, real: Any, text: Any, path: Any, *rest: Any, **options: Any) -> None:
        real(text, path, *rest, **options)
        self._name(self._place(path), self._new(str(text)))

    def _link(self, real: Any, source: Any, path: Any, **options: Any) -> None:
        real(source, path, **options)
        folder, name = self._place(source)
        self._name(self._place(path), self.nodes[folder][name])

    def _unlink(self, real: Any, path: Any, *rest: Any, **options: Any) -> None:
        real(path, *rest, **options)
        self._forget(self._place(path))

    _rmdir = _unlink

    def _rename(self, real: Any, source: Any, path: Any, **options: Any) -> None:
        (folder, old), (same, new) = self._place(source), self._place(path)
        assert folder == same, "a rename between folders is no single change of one"
        real(source, path, **options)

        def moved(names: dict[str, int]) -> dict[str, int]:
            if old not in names:  # its making is not on the disk, so neither is this
                return names
            return {**{name: node for name, node in names.items() if name != old}, new: names[old]}

        self._change(folder, moved)

    _replace = _rename

    def _open(self, real: Any, path: Any, flags: int, *rest: Any, **options: Any) -> int:
        fresh = not os.path.lexists(path)
        descriptor: int = real(path, flags, *rest, **options)
        if Path(path).absolute() == self.root:
            self._files[descriptor] = self._top
        elif place := self._place(path):
            if fresh:
                self._name(place, self._new(b""))
            self._files[descriptor] = self.nodes[place[0]][place[1]]
            if flags & os.O_TRUNC and not fresh:
                self._change(self._files[descriptor], lambda _: b"")
        return descriptor

    def _close(self, real: Any, descriptor: int) -> None:
        self._files.pop(descriptor, None)
        real(descriptor)

    def _write(self, real: Any, descriptor: int, data: Any) -> int:
        written: int = real(descriptor, data)
        if (node := self._files.get(descriptor)) is not None:
            at, piece = len(self.nodes[node]), bytes(data)[:written]
            half = piece[: written // 2]
            self._change(
                node,
                lambda content: content.ljust(at, b"\0")[:at] + piece + content[at + len(piece) :],
                lambda content: content.ljust(at, b"\0")[:at] + half + content[at + len(half) :],
            )
        return written

    def _ftruncate(self, real: Any, descriptor: int, size: int) -> None:
        real(descriptor, size)
        if (node := self._files.get(descriptor)) is not None:
            self._change(node, lambda content: content[:size].ljust(size, b"\0"))

    def _fsync(self, real: Any, descriptor: int) -> None:
        real(descriptor)
        if (node := self._files.get(descriptor)) is not None:
            self.changes.append(Change(node))

    _fdatasync = _fsync

    def _stream(self, real: Any, file: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
        if "w" not in mode:
            return real(file, mode, *rest, **options)
        return _Stream(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644))

    # What a power cut leaves

    def matches(self) -> bool:
        """Whether the record ends in what the real folder holds."""
        return self._tree(dict(enumerate(self.nodes))) == self._tree_of(self.root)

    def crashes(self) -> Iterator[tuple[int, Tree]]:
        """What may be left by a power cut after each number of changes; of each number every state once."""
        for count in range(len(self.changes) + 1):
            yield from ((count, tree) for tree in sorted(set(self._left_after(count)), key=repr))

    def _left_after(self, count: int) -> Iterator[Tree]:
        durable, pending = dict(enumerate(self._first)), list[Change]()
        for change in self.changes[:count]:
            if change.make is not None:
                pending.append(change)
            else:
                for done in pending:
                    if done.node == change.node:
                        durable[done.node] = done.make(durable[done.node])
                pending = [left for left in pending if left.node != change.node]

        def with_only(chosen: Callable[[int, Change], bool], torn: int | None = None) -> Tree:
            nodes = dict(durable)
            for index, change in enumerate(pending):
                if chosen(index, change):
                    make = change.torn if index == torn else change.make
                    nodes[change.node] = make(nodes[change.node])
            return self._tree(nodes)

        yield with_only(lambda *_: False)
        yield with_only(lambda *_: True)
        yield with_only(lambda _, change: change.torn is None)
        yield with_only(lambda _, change: change.torn is not None)
        for number, change in enumerate(pending):
            yield with_only(lambda index, _, number=number: index == number)
            yield with_only(lambda index, _, number=number: index != number)
            yield with_only(lambda index, _, number=number: index <= number)
            yield with_only(lambda index, _, number=number: index >= number)
            if change.torn is not None:
                yield with_only(lambda *_: True, torn=number)

    def _tree(self, nodes: dict[int, Any]) -> Tree:
        def walk(node: int, path: str) -> Iterator[tuple[str, Any]]:
            content = nodes[node]
            yield path, None if isinstance(content, dict) else content
            if isinstance(content, dict):
                for name, child in sorted(content.items()):
                    yield from walk(child, f"{path}/{name}")

        return tuple(walk(self._top, "."))

    def _tree_of(self, root: Path) -> Tree:
        return tree_of(root)


class _Stream:
    """A file that `open` would have given for writing, each write on its way at once."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def write(self, data: bytes) -> int:
        return os.write(self._descriptor, data)

    def flush(self) -> None:
        """There is nothing to flush."""

    def fileno(self) -> int:
        return self._descriptor


def tree_of(root: Path) -> Tree:
    """What is below a real folder."""

    def walk(path: Path, name: str) -> Iterator[tuple[str, Any]]:
        if path.is_symlink():
            yield name, str(path.readlink())
        elif path.is_dir():
            yield name, None
            for child in sorted(path.iterdir(), key=lambda child: child.name):
                yield from walk(child, f"{name}/{child.name}")
        else:
            yield name, path.read_bytes()

    return tuple(walk(root, "."))


def make(tree: Tree, root: Path) -> None:
    """Lay a tree out as a real folder."""
    for name, content in tree:
        path = root / name
        if content is None:
            path.mkdir(exist_ok=True)
        elif isinstance(content, str):
            path.symlink_to(content)
        else:
            path.write_bytes(content)
