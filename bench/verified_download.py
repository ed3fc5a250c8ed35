"""One download and the check of its signature, as the service does them, in a process of its own.

    python -m bench.verified_download URL PART_FILE ROOT CERTIFICATE SIGNATURE SSH_FOLDER [unsynced]

Prints the wall clock and CPU seconds of the two together as JSON; what is loaded before them does not count. In
SSH_FOLDER lie `user_key` and `known_hosts`, for SFTP. `unsynced` takes the waiting for the disk out: fsync and
fdatasync return at once.
"""

import json
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, process_time
from urllib.parse import urlsplit

from everest_system.fsm.artifact import Part
from everest_system.io.transfers.download import download
from everest_system.io.transfers.transfer import TransferSettings
from everest_system.io.trust.signature import verify
from everest_system.io.trust.trust import Trust


def main() -> None:
    """Do it once, and say what it took."""
    url, (part_file, root, certificate, signature, ssh) = sys.argv[1], map(Path, sys.argv[2:7])
    if sys.argv[7:] == ["unsynced"]:
        os.fsync = os.fdatasync = lambda _: None
    trust = Trust([root])
    begun, begun_cpu = monotonic(), process_time()
    artifact = download(
        url,
        part_file,
        Part(),
        settings=TransferSettings(sftp_key_file=ssh / "user_key", known_hosts_file=ssh / "known_hosts"),
        schemes=[urlsplit(url).scheme],
        max_size_bytes=1 << 40,
        canceled=threading.Event(),
        on_part=lambda _: None,
        on_progress=lambda *_: None,
    )
    signer = trust.check(certificate.read_text(), datetime.now(UTC))
    verify(signer, signature.read_text(), bytes.fromhex(artifact.sha256), ["ecdsa"])
    print(json.dumps({"wall_s": monotonic() - begun, "cpu_s": process_time() - begun_cpu}))


if __name__ == "__main__":
    main()
