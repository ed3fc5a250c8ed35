"""A station with a real RAUC: its service on a bus of its own, two slots in files, a boot loader in a script.

    with RaucStation(tmp_path) as station:
        bundle = station.bundle("2.0", image=b"new firmware")     # a real, signed one
        RaucInstaller(station.address, ...).check(facts(bundle))
        station.primary                                           # "A": what the boot loader would boot
        station.boot()                                            # what a reboot does

Needs root and a kernel that mounts squashfs from a file, for RAUC mounts what it installs.
"""

import os
import random
import re
import subprocess
import textwrap
from pathlib import Path
from typing import Any

from support.dbus_peers import PrivateBus
from support.peers import program, require
from support.server_process import ServerProcess

from everest_system.io.installers.rauc.service import NAME

COMPATIBLE = "everest-test-station"
SLOT_BYTES = 1 << 20
FIRMWARE = random.Random(1).randbytes(20_000)  # a verity bundle is no shorter than that
SLOTS = {"A": "rootfs.0", "B": "rootfs.1"}

_BOOT_LOADER = """\
#!/bin/sh
# Keeps what a boot loader keeps: in files, one for each fact.
cd '{folder}' || exit 1
echo "$*" >>calls
[ ! -e "no-$1" ] || exit 1
case "$1" in
    get-primary) cat primary ;;
    set-primary) echo "$2" >primary; echo good >"state-$2" ;;  # anew, with all its attempts
    get-state) cat "state-$2" ;;
    set-state) echo "$3" >"state-$2" ;;
    *) exit 1 ;;
esac
"""
_SYSTEM = """\
[system]
compatible={compatible}
bootloader=custom
statusfile={folder}/slots.status
mountprefix={folder}/mnt
activate-installed={activate}

[keyring]
path={keyring}

[handlers]
bootloader-custom-backend={folder}/boot-loader/backend
{handlers}

[slot.rootfs.0]
device={folder}/a.img
type=raw
bootname=A

[slot.rootfs.1]
device={folder}/b.img
type=raw
bootname=B
"""
_MANIFEST = """\
[update]
compatible={compatible}
version={version}

[bundle]
format={format}

[image.rootfs]
filename=rootfs.img
{hooks}
"""


def rauc() -> str:
    """RAUC's program, or the end of the test: with the reason."""
    why = "firmware installed for real"
    found = require("rauc", program("rauc"), why)
    require("mksquashfs", program("mksquashfs"), why)
    require("openssl", program("openssl"), why)
    require("root", os.geteuid() == 0 or None, "RAUC mounts bundles")
    require("a loop device", Path("/dev/loop-control").exists() or None, "RAUC mounts bundles")
    squashfs = "squashfs" in Path("/proc/filesystems").read_text() or any(
        Path(f"/lib/modules/{os.uname().release}").glob("kernel/fs/squashfs/squashfs.ko*")
    )
    require("squashfs in the kernel", squashfs or None, "RAUC mounts bundles")
    return found


class Signer:
    """A key with a certificate of its own.

    Args:
        folder: for both.
        name: of the certificate's subject.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.key, self.certificate = folder / f"{name}.key", folder / f"{name}.pem"
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        files = ["-keyout", str(self.key), "-out", str(self.certificate)]
        _run("openssl", "req", "-x509", *curve, *files, "-subj", f"/CN={name}", "-days", "3650")


class RaucStation(ServerProcess):
    """The bus and RAUC's service on it while the context lasts; `boot` ends and starts both's world anew.

    Args:
        folder: for everything.
        activate_installed: RAUC's own setting: whether it activates what it has installed.
        handlers: further lines of `[handlers]`.

    Attributes:
        address: of the bus.
        booted: the slot that runs, as the boot loader calls it.
        own, foreign: who signs; RAUC knows the first alone.
    """

    def __init__(self, folder: Path, *, activate_installed: bool = True, handlers: str = "") -> None:
        self._binary = rauc()
        super().__init__(folder)
        self._bus = PrivateBus(_made(folder / "bus"))
        self.address = self._bus.address
        self._activate, self._handlers = activate_installed, handlers
        self.own, self.foreign = Signer(folder, "own"), Signer(folder, "foreign")
        self.booted = "A"
        self._boot_loader = _made(folder / "boot-loader")
        backend = self._boot_loader / "backend"
        backend.write_text(_BOOT_LOADER.format(folder=self._boot_loader))
        backend.chmod(0o755)
        for name in ("a.img", "b.img"):
            (folder / name).write_bytes(bytes(SLOT_BYTES))
        self._keep("primary", "A")
        for slot in SLOTS:
            self._keep(f"state-{slot}", "good")
        self._count = 0

    def start(self) -> None:
        """Start RAUC, and the bus before the first time."""
        if not self._bus.is_up:
            self._bus.start()
        super().start()
        self._bus.wait_for(NAME)

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._bus.kill()
        for mount in (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()):
            if mount.startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", mount], check=False)

    def boot(self) -> None:
        """Reboot into what the boot loader has for its primary slot, or beside it if that one is bad."""
        self.kill()
        primary = self.primary
        other = "B" if primary == "A" else "A"
        self.booted = primary if self.state(primary) == "good" else other
        self.start()

    def command(self) -> list[str]:
        """RAUC's service on the private bus, which it takes for the system's."""
        config = self.folder / "system.conf"
        _made(self.folder / "mnt")
        config.write_text(
            _SYSTEM.format(
                compatible=COMPATIBLE,
                folder=self.folder,
                activate=str(self._activate).lower(),
                keyring=self.own.certificate,
                handlers=self._handlers,
            )
        )
        variables = [f"DBUS_SYSTEM_BUS_ADDRESS={self.address}", "LC_ALL=C"]
        options = [f"--conf={config}", f"--override-boot-slot={self.booted}"]
        return ["env", *variables, self._binary, "service", *options]

    def bundle(
        self,
        version: str,
        *,
        image: bytes = FIRMWARE,
        compatible: str = COMPATIBLE,
        signer: Signer | None = None,
        format_: str = "plain",
        hook: str = "",
    ) -> Path:
        """Make a bundle.

        Args:
            version: of the firmware.
            image: what goes into the slot.
            signer: who signs it; the station's own, if None.
            format_: `plain` or `verity`.
            hook: shell lines that RAUC runs before it installs, instead of looking at `compatible`.
        """
        self._count += 1
        content = _made(self.folder / f"content-{self._count}")
        (content / "rootfs.img").write_bytes(image)
        manifest = _MANIFEST.format(compatible=compatible, version=version, format=format_, hooks="")
        if hook:
            manifest += "[hooks]\nfilename=hook\nhooks=install-check\n"
            (content / "hook").write_text("#!/bin/sh\n" + textwrap.dedent(hook))
            (content / "hook").chmod(0o755)
        (content / "manifest.raucm").write_text(manifest)
        signer = signer or self.own
        bundle = self.folder / f"bundle-{self._count}.raucb"
        _run(
            self._binary,
            f"--cert={signer.certificate}",
            f"--key={signer.key}",
            f"--keyring={signer.certificate}",
            "bundle",
            str(content),
            str(bundle),
        )
        bundle.chmod(0o600)
        return bundle

    @property
    def primary(self) -> str:
        """The slot that the boot loader would boot."""
        return self._kept("primary")

    def state(self, slot: str) -> str:
        """`good` or `bad`, for a slot as the boot loader calls it."""
        return self._kept(f"state-{slot}")

    def give_up(self, slot: str) -> None:
        """What the boot loader does when a slot does not come up: take it for bad, without a word to anybody."""
        self._keep(f"state-{slot}", "bad")

    def break_boot_loader(self, verb: str, *, broken: bool = True) -> None:
        """Let one of the boot loader's commands fail, or work again."""
        mark = self._boot_loader / f"no-{verb}"
        if broken:
            mark.touch()
        else:
            mark.unlink()

    def content(self, slot: str, size: int) -> bytes:
        """The first bytes of a slot."""
        return (self.folder / f"{slot.lower()}.img").read_bytes()[:size]

    def slot_status(self, name: str) -> dict[str, str]:
        """RAUC's books on a slot."""
        status = self.folder / "slots.status"
        text = status.read_text() if status.exists() else ""
        found = re.search(rf"\[slot\.{re.escape(name)}\]\n((?:[^\[].*\n)*)", text)
        return dict(line.split("=", 1) for line in found[1].splitlines() if "=" in line) if found else {}

    def installs_elsewhere(self, bundle: Path) -> "subprocess.Popen[bytes]":
        """Have somebody else ask for an installation, and wait for it in a process of his own."""
        environment: dict[str, Any] = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address}
        return subprocess.Popen(
            [self._binary, "install", str(bundle)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _listens(self) -> bool:
        return self._process is not None and self._process.poll() is None and self._bus.is_up

    def _keep(self, name: str, value: str) -> None:
        (self._boot_loader / name).write_text(f"{value}\n")

    def _kept(self, name: str) -> str:
        return (self._boot_loader / name).read_text().strip()


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder


def _run(*argv: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 0, f"{argv[0]} failed:\n{done.stdout}{done.stderr}"
