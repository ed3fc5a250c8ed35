"""The certificates that may sign firmware, looked at by the station before a reply and by work before installing."""

import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import structlog

from everest_system.version import BUILT

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from everest_system.io.trust.trust import Trust

_log = structlog.get_logger(__name__)


class SigningCertificates:
    """Checks one certificate at a time, and loads what it takes for that when the first one comes.

    Args:
        anchors: files or folders of the manufacturer's roots.
        crls: files or folders of revocation lists.
        chain: who vouches for a certificate: the anchors, or EVerest.
        crl_policy: `require` refuses a certificate of which no current list speaks, `try` warns of it in the log.
    """

    def __init__(
        self,
        anchors: Sequence[Path],
        crls: Sequence[Path],
        chain: Literal["anchors", "everest"],
        crl_policy: Literal["try", "require"],
    ) -> None:
        self._anchors, self._crls, self._chain, self._crl_policy = anchors, crls, chain, crl_policy
        self._lock = threading.Lock()
        self._trust: Trust | None = None

    def check(self, certificate_pem: str, now: datetime) -> "Certificate":
        """The signing certificate in `certificate_pem`.

        Raises:
            CertificateError: it may not sign firmware at `now`.
        """
        with self._lock:
            if self._trust is None:
                from everest_system.io.trust.trust import (
                    Trust,  # loads cryptography: 8 MiB that an idle station can spare
                )

                self._trust = Trust(
                    self._anchors, self._crls, self._chain, _log.warning, crl_policy=self._crl_policy, built=BUILT
                )
            return self._trust.check(certificate_pem, now)
