"""Known hosts: who is in the file, who is kept in it, and what is said of those who are not trusted."""

import base64
import hashlib
import hmac
import signal
import subprocess
import sys
import threading

import pytest

from everest_system.io.transfers import known_hosts
from everest_system.io.transfers.known_hosts import HostKeyError, KnownHosts


def a_key(content: bytes, kind: bytes = b"ssh-ed25519") -> bytes:
    return len(kind).to_bytes(4, "big") + kind + len(content).to_bytes(4, "big") + content


KEY, OTHER = a_key(b"1" * 32), a_key(b"2" * 32)
TEXT = base64.b64encode(KEY).decode()
OTHER_TEXT = base64.b64encode(OTHER).decode()


@pytest.fixture
def file(tmp_path):
    return tmp_path / "known_hosts"


def hashed(name: str) -> str:
    salt = b"salt" * 5
    digest = hmac.digest(salt, name.encode(), hashlib.sha1)
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("names", "host", "port"),
    [
        ("h.example", "h.example", 22),
        ("H.Example", "h.example", 22),
        ("[h.example]:2222", "h.example", 2222),
        ("a,h.example,b", "h.example", 22),
        ("*.example", "h.example", 22),
        ("[*.example]:2222", "h.example", 2222),
        ("?.example", "h.example", 22),
        (hashed("h.example"), "h.example", 22),
        (hashed("[h.example]:2222"), "h.example", 2222),
    ],
)
def test_names_are_read_as_openssh_writes_them(file, names, host, port):
    """Plain, with a port, in a list, by pattern and hashed, a name is found; another key then is a changed one."""
    file.write_text(f"{names} ssh-ed25519 {TEXT} comment")
    KnownHosts(file).check(host, port, KEY)
    with pytest.raises(HostKeyError, match="has changed"):
        KnownHosts(file, keep_new=False).check(host, port, OTHER)


@pytest.mark.parametrize(
    "line",
    [
        f"# h.example ssh-ed25519 {TEXT}",
        f"h.example.org ssh-ed25519 {TEXT}",
        f"[h.example]:2222 ssh-ed25519 {TEXT}",
        f"[h].example ssh-ed25519 {TEXT}",
        f"!h.example,* ssh-ed25519 {TEXT}",
        f"{hashed('g.example')} ssh-ed25519 {TEXT}",
        f"|1|###|### ssh-ed25519 {TEXT}",
        f"@cert-authority * ssh-ed25519 {TEXT}",
        "h.example ssh-ed25519 #####",
        "h.example ssh-ed25519",
        "",
        "\udcff",
    ],
)
def test_what_does_not_name_the_host_says_nothing(file, line):
    """Comments, other names, authorities and nonsense make no server known."""
    file.write_bytes(line.encode("utf-8", "surrogateescape") + b"\n")
    with pytest.raises(HostKeyError, match=r"SHA256:\S{43} of h.example is not in"):
        KnownHosts(file).check("h.example", 22, KEY)


def test_several_keys_of_a_host_hold(file):
    """A server may have several keys; a revoked one is refused, wherever it stands."""
    third = a_key(b"3" * 32)
    file.write_text(
        f"h ssh-ed25519 {TEXT}\nh ssh-ed25519 {OTHER_TEXT}\n@revoked * ssh-ed25519 {base64.b64encode(third).decode()}\n"
    )
    hosts = KnownHosts(file, keep_new=True)
    hosts.check("h", 22, KEY)
    hosts.check("h", 22, OTHER)
    for host in ("h", "new"):
        with pytest.raises(HostKeyError, match="revoked"):
            hosts.check(host, 22, third)


def test_first_use_is_kept(file):
    """A new server's key is kept, readable to us alone, and holds from then on; another of its keys is refused."""
    hosts = KnownHosts(file, keep_new=True)
    hosts.check("h", 22, KEY)
    hosts.check("h", 22, KEY)
    hosts.check("h", 2222, OTHER)
    assert file.read_text() == f"h ssh-ed25519 {TEXT}\n[h]:2222 ssh-ed25519 {OTHER_TEXT}\n"
    assert file.stat().st_mode & 0o777 == 0o600
    with pytest.raises(HostKeyError, match=f"{file}:1; if that is right, remove that line"):
        hosts.check("h", 22, OTHER)


def test_line_cut_short_by_a_power_cut_is_none(file):
    """What a power cut left of a line is written over, and makes no server known by half a key."""
    file.write_text(f"g ssh-ed25519 {OTHER_TEXT}\nh ssh-ed25519 {TEXT[:40]}")
    KnownHosts(file, keep_new=True).check("h", 22, KEY)
    assert file.read_text() == f"g ssh-ed25519 {OTHER_TEXT}\nh ssh-ed25519 {TEXT}\n"


def test_line_is_on_the_disk_first(file, monkeypatch):
    """A key that cannot be made safe on disk is not trusted."""

    def fail(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(known_hosts.os, "fsync", fail)
    with pytest.raises(HostKeyError, match="No space left"):
        KnownHosts(file, keep_new=True).check("h", 22, KEY)


def test_two_first_uses_keep_one_key(file):
    """Of two servers that come under one name at once, one is trusted and the other refused."""
    start = threading.Barrier(8)
    refused = []

    def use(key):
        start.wait()
        try:
            KnownHosts(file, keep_new=True).check("h", 22, key)
        except HostKeyError as error:
            refused.append(error)

    threads = [threading.Thread(target=use, args=(key,)) for key in (KEY, OTHER) * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(file.read_text().splitlines()), len(refused)) == (1, 4)


def test_file_has_bounds(file, monkeypatch):
    """A file beyond all measure is refused, and a key of no kind is not kept."""
    monkeypatch.setattr(known_hosts, "_MAX_BYTES", 10)
    file.write_text("x" * 11)
    with pytest.raises(HostKeyError, match="more than"):
        KnownHosts(file, keep_new=True).check("h", 22, KEY)
    file.write_text("")
    with pytest.raises(HostKeyError, match="is none"):
        KnownHosts(file, keep_new=True).check("h", 22, b"\0\0\0\4a\nb ")
    assert file.read_text() == ""


def test_folder_in_its_place_is_told(tmp_path):
    """A file that cannot be opened is named."""
    with pytest.raises(HostKeyError, match=f"cannot use {tmp_path}"):
        KnownHosts(tmp_path).check("h", 22, KEY)


KILLED = """
import os, signal, sys
from pathlib import Path
from everest_system.io.transfers import known_hosts

call, half = sys.argv[2], sys.argv[3] == "half"

def killed(descriptor, *arguments):
    if half:
        os.write(descriptor, arguments[0][:40])
    os.kill(os.getpid(), signal.SIGKILL)

class Stream:
    "The file, but for one call."
    def __init__(self, stream): self._stream = stream
    def __getattr__(self, name):
        return (lambda *given: killed(self.fileno(), *given)) if name == call else getattr(self._stream, name)
    def __enter__(self): return self
    def __exit__(self, *_): self._stream.close()

opened = known_hosts.KnownHosts._open
known_hosts.KnownHosts._open = lambda self: Stream(opened(self))
if call in {"fsync", "sync_folder"}:
    setattr(os if call == "fsync" else known_hosts, call, killed)
known_hosts.KnownHosts(Path(sys.argv[1]), keep_new=True).check("new.example", 22, bytes.fromhex(sys.argv[4]))
"""


@pytest.mark.parametrize("call", ["read", "truncate", "seek", "write", "half", "flush", "fsync", "sync_folder"])
def test_killed_while_a_key_is_kept(file, call):
    """Wherever SIGKILL comes, who was known stays known, and a new server is known by all of its key or not at all."""
    KnownHosts(file, keep_new=True).check("old.example", 22, KEY)
    with file.open("ab") as stream:
        stream.write(b"cut.example ssh-ed")  # an earlier power cut
    arguments = [str(file), "write" if call == "half" else call, call, OTHER.hex()]
    ended = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (-signal.SIGKILL, "")
    hosts = KnownHosts(file, keep_new=True)
    hosts.check("old.example", 22, KEY)
    hosts.check("new.example", 22, OTHER)
    for host, another in (("old.example", OTHER), ("new.example", KEY)):
        with pytest.raises(HostKeyError, match="has changed"):
            hosts.check(host, 22, another)
    assert [line.split()[0] for line in file.read_text().splitlines()] == ["old.example", "new.example"]
