"""Whom we believe when a certificate says that it signs our firmware.

Two ways, chosen by `firmware.chain`: "anchors": a path must lead to one of the configured trust anchors and obey
every rule of `certificate_path`; "everest": EVerest has checked the chain before it forwarded the request, and only
the signing certificate's own dates and key are looked at. Either way nothing on the way may stand on a CRL; with
`firmware.crl_policy = "require"` a current CRL must speak for everything that a CRL can take back.

A clock that stands before the day on which this software was built is not believed: see `known_time`.

The files are read at each check, so that a new anchor or CRL counts at once and nothing is kept in memory between
updates. A broken or missing file refuses every certificate until it is mended: a CRL that silently drops out would
bring a revoked certificate back.

    trust = Trust([Path("/etc/everest-system/anchors")], [Path("/var/lib/crls")])
    certificate = trust.check(request.signing_certificate, now)
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from cryptography import x509

from everest_system.io.trust.certificate_path import RULES, VOUCHED_RULES, Issuers, judge
from everest_system.io.trust.certificates import Certificate, pem_blocks, read_certificate, read_chain
from everest_system.io.trust.known_time import KnownTime
from everest_system.io.trust.revocation import RevocationList, check_revocation, read_revocation_list
from everest_system.io.trust.verification_error import CertificateError, TrustError

MAX_FILE = 16 * 1024 * 1024
"""Bytes of one trust anchor or CRL file."""

MAX_FILES = 1000
"""Files in one folder."""

CrlPolicy = Literal["try", "require"]
"""Whether a certificate whose revocation cannot be looked up will do."""

_EVER = datetime.min.replace(tzinfo=UTC)
_ANCHOR_SUFFIXES = {".pem", ".crt", ".cer", ".der"}
_CRL_SUFFIXES = {".pem", ".crl", ".der"}


class Trust:
    """The trust anchors and CRLs of a station.

    Args:
        anchors: certificates of manufacturer roots (PEM or DER), or folders of them; in a folder `*.pem`, `*.crt`,
            `*.cer` and `*.der` count.
        crls: CRLs (PEM or DER), or folders of them; in a folder `*.pem`, `*.crl` and `*.der` count.
        chain: who vouches for the signing certificate.
        on_warning: told in one line of each certificate whose revocation could not be looked up, and of a clock that
            is not believed.
        crl_policy: `require` refuses what `try` only warns of: no current CRL speaks of a certificate on the way.
        built: the day on which this software was built, with a time zone; a clock before it is wrong.
    """

    def __init__(
        self,
        anchors: Sequence[Path] = (),
        crls: Sequence[Path] = (),
        chain: Literal["anchors", "everest"] = "anchors",
        on_warning: Callable[[str], None] = lambda _: None,
        *,
        crl_policy: CrlPolicy = "try",
        built: datetime = _EVER,
    ) -> None:
        self._anchor_paths, self._crl_paths = tuple(anchors), tuple(crls)
        self._chain = chain
        self._on_warning = on_warning
        self._crl_policy = crl_policy
        self._built = built

    def check_files(self) -> None:
        """Read all files once, to find the broken ones before they are needed.

        Raises:
            TrustError: a file is missing or broken.
        """
        self._anchors()
        self._crls()

    def check(self, certificate_pem: str, now: datetime) -> x509.Certificate:
        """Decide whether the certificate of a request may sign firmware (L01.FR.12).

        Args:
            certificate_pem: the signing certificate in PEM, as it came; the intermediates may follow it.
            now: what the clock says, with a time zone.

        Returns:
            The signing certificate, for `signature.verify`.

        Raises:
            CertificateError: it may not; `response` says which answer that is.
            TrustError: likewise, because a file of our own is missing or broken.
        """
        signer, *others = read_chain(certificate_pem)
        if self._chain == "anchors" and not self._anchor_paths:
            raise CertificateError("no trust anchor is configured: set firmware.trust_anchors")
        issuers = Issuers(self._anchors(), others)
        lists = self._crls()
        time = KnownTime.told(now, self._built)
        if self._chain == "everest":
            judge((signer,), time, VOUCHED_RULES)
            warnings = self._revocations(issuers.ancestors(signer), issuers, lists, time)
        else:
            warnings = self._find_path(signer, issuers, lists, time)
        if not time.exact:
            self._on_warning(
                f"the clock says {now:%Y-%m-%d}, before this software was built ({self._built:%Y-%m-%d}): "
                "a certificate that has expired since then cannot be told"
            )
        for warning in warnings:
            self._on_warning(warning)
        return signer.parsed

    def _find_path(
        self, signer: Certificate, issuers: Issuers, lists: list[RevocationList], time: KnownTime
    ) -> list[str]:
        """Try the paths until one is good; else the first one's fault is the answer, or that of a revoked one."""
        faults: list[CertificateError] = []
        for path in issuers.paths(signer):
            try:
                judge(path, time, RULES)
                return self._revocations(path, issuers, lists, time)
            except CertificateError as error:
                faults.append(error)
        raise next((fault for fault in faults if fault.response == "RevokedCertificate"), faults[0])

    def _revocations(
        self, path: Sequence[Certificate], issuers: Issuers, lists: list[RevocationList], time: KnownTime
    ) -> list[str]:
        """Look every certificate up: what is not known of their revocation, where that is no reason to refuse."""
        unknown = []
        for certificate in path:
            trusted = issuers.trusted(certificate)
            root = certificate.self_issued and (trusted or certificate.issued_by(certificate))
            own = (certificate,) if root else ()  # a root may take itself back
            warning = check_revocation(certificate, (*issuers.of(certificate), *own), lists, time)
            # Who is trusted for himself is taken back by removing him: that no CRL speaks of him is as it should be.
            if warning and not (root or trusted):
                unknown.append(warning)
        if unknown and not self._crl_paths:
            unknown = ["revocation of the signing certificate is not checked: firmware.crls is empty"]
        if unknown and self._crl_policy == "require":
            raise CertificateError(f"{unknown[0]}; firmware.crl_policy requires a CRL")
        return unknown

    def _anchors(self) -> list[Certificate]:
        anchors: list[Certificate] = []
        for path, data in _files(self._anchor_paths, _ANCHOR_SUFFIXES):
            with _naming(path):
                anchors += map(read_certificate, _contents(data, "CERTIFICATE"))
        if self._anchor_paths and not anchors:
            folders = ", ".join(map(str, self._anchor_paths))
            raise TrustError(f"{folders} has no certificate: the roots belong there, as .pem, .crt, .cer or .der")
        return anchors

    def _crls(self) -> list[RevocationList]:
        lists: list[RevocationList] = []
        for path, data in _files(self._crl_paths, _CRL_SUFFIXES):
            with _naming(path):
                lists += (read_revocation_list(der, str(path)) for der in _contents(data, "CRL"))
        return lists


def _files(paths: Sequence[Path], suffixes: set[str]) -> Iterator[tuple[Path, bytes]]:
    for path in paths:
        try:
            if path.is_dir():
                files = sorted(f for f in path.iterdir() if f.suffix.lower() in suffixes and f.is_file())
            elif path.is_file():
                files = [path]
            else:
                raise TrustError(f"{path}: no such file or folder")
        except OSError as error:
            raise TrustError(f"{path}: {error.strerror}") from error
        if len(files) > MAX_FILES:
            raise TrustError(f"{path}: more than {MAX_FILES} files")
        for file in files:
            yield file, _read(file)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_FILE + 1)
    except OSError as error:
        raise TrustError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_FILE:
        raise TrustError(f"{path}: larger than {MAX_FILE} bytes")
    return data


def _contents(data: bytes, label: str) -> list[bytes]:
    return pem_blocks(data.decode("latin-1"), label) if b"-----BEGIN " in data else [data]


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except CertificateError as error:
        raise TrustError(f"{path}: {error}") from error
