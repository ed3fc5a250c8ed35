"""What RAUC's words for a failure mean, in one table.

RAUC says over D-Bus why it will not have a bundle in words for people only (`LastError`, the error of `InspectBundle`).
They are looked for in the order of the table; what is not in it is a failed installation, for whatever reason.
"""

import re
from typing import Final

from everest_system.fsm.errors import WorldError
from everest_system.io.installers.port import BadSignatureError, InstallError, UnfitError

REFUSALS: Final[tuple[tuple[str, type[WorldError]], ...]] = (
    (r"Failed to open bundle for reading", InstallError),  # not there, or not for RAUC's eyes: no fault of the bundle
    # Broken: what is no bundle, or was cut off, has no signature that could be judged.
    (r"Invalid bundle format", UnfitError),
    # The signature: somebody else's, of other bytes, out of its time, for another purpose.
    (r"signature verification failed", BadSignatureError),
    (r"Failed to verify X509 cert", BadSignatureError),
    (r"No signature CN matching", BadSignatureError),
    (r"Unsupported number of signers", BadSignatureError),
    # For another station, or for none.
    (r"Compatible mismatch|Version mismatch", UnfitError),
    (r"Bundle rejected", UnfitError),  # by the install-check hook that it brings along
    (r"Bundle format '\w+' not (allowed|supported)", UnfitError),
    (r"Encrypted bundle detected|Failed to decrypt|Refusing to install unencrypted", UnfitError),
    (r"Minimum RAUC version", UnfitError),
    (r"No target slot for class|Failed to find matching variant|No install image found", UnfitError),
    # Its manifest, or what the manifest speaks of.
    (
        r"[Ff]ailed to (load|parse|check) manifest|manifest in inline signature|Failed mounting bundle: .*manifest",
        UnfitError,
    ),
    (
        r"Key file (does not have|contains)|Missing (digest|size|hash|salt|required) |Invalid (digest|hash|salt) ",
        UnfitError,
    ),
    (r"Unsupported (image|bundle|checksum|signature|adaptive)|hook type '\w+' not supported", UnfitError),
    (r"Source image '.*' not found", UnfitError),
    (r"payload is corrupted|checksum|digest mismatch", UnfitError),
)


def refusal(words: str) -> WorldError:
    """Return the error to raise for what RAUC said."""
    said = f"RAUC: {words}" if words else "RAUC does not say why it failed"
    for pattern, kind in REFUSALS:
        if re.search(pattern, words):
            return kind(said)
    return InstallError(said)
