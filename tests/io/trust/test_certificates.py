"""Certificates from outside are read completely or refused; nothing else ever comes out."""

import warnings
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.pki import Issuer, key_usage, private_key

from everest_system.io.trust.certificates import (
    MAX_CERTIFICATES,
    MAX_TEXT,
    printable,
    read_certificate,
    read_chain,
)
from everest_system.io.trust.verification_error import CertificateError

ROOT = Issuer.root()
MIDDLE = ROOT.issue("Maker CA 1", ca=True)
LEAF = MIDDLE.issue()
WITH_USAGE = ROOT.issue("Used", usage=key_usage("crl_sign"))
quick = settings(max_examples=examples(150))


def common_names(text: str) -> list[str]:
    return [certificate.name for certificate in read_chain(text)]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda pem: pem, id="as it is"),
        pytest.param(lambda pem: pem.strip(), id="no newline at the end"),
        pytest.param(lambda pem: pem.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(lambda pem: pem.replace("\n", "\\n"), id="literal \\n"),
        pytest.param(lambda pem: pem.replace("\n", "\\r\\n"), id="literal \\r\\n"),
        pytest.param(lambda pem: pem.replace("\n", " "), id="spaces"),
        pytest.param(lambda pem: pem.replace("\n", ""), id="one line"),
        pytest.param(lambda pem: f"\ufeff  \n{pem}\n\n\t ", id="white space around"),
        pytest.param(lambda pem: f"Subject: CN=any\n---\n{pem}\nthe end", id="text around"),
        pytest.param(lambda pem: pem.replace(" CERTIFICATE", " X509 CERTIFICATE"), id="old label"),
    ],
)
def test_text_forms(change) -> None:
    """A chain is read in every form in which base64 and PEM travel through JSON, shells and mails."""
    assert common_names(change(LEAF.pem + MIDDLE.pem)) == ["CN=Maker Firmware", "CN=Maker CA 1"]


@pytest.mark.parametrize(
    "order",
    [[LEAF, MIDDLE, ROOT], [ROOT, MIDDLE, LEAF], [MIDDLE, LEAF, ROOT], [LEAF, LEAF, ROOT, MIDDLE], [LEAF]],
    ids=["leaf first", "root first", "mixed", "twice", "alone"],
)
def test_signer_comes_first(order) -> None:
    """Whatever the order, the signing certificate is the one that issued none of the others."""
    assert read_chain("".join(issuer.pem for issuer in order))[0].parsed == LEAF.certificate


def test_first_of_two_leaves_is_the_signer() -> None:
    """With two certificates that issued none, OCPP's order decides: the first; roots beside them do not count."""
    other = Issuer.root("Somebody else")
    twin = MIDDLE.issue("twin")
    assert common_names(LEAF.pem + twin.pem)[0] == "CN=Maker Firmware"
    assert common_names(twin.pem + LEAF.pem)[0] == "CN=twin"
    assert common_names(other.pem + LEAF.pem)[0] == "CN=Maker Firmware"
    assert common_names(other.pem + ROOT.pem)[0] == "CN=Somebody else"


def test_unclear_order_is_refused() -> None:
    """Where neither the order nor the names tell the signing certificate, none is guessed."""
    one = Issuer.root("one")
    circle = [Issuer.root("two").issue("one"), one.issue("two")]
    with pytest.raises(CertificateError, match="no clear order"):
        read_chain("".join(issuer.pem for issuer in circle))
    with pytest.raises(CertificateError, match="no clear order"):
        read_chain(MIDDLE.pem + LEAF.pem + MIDDLE.issue("twin").pem)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "there is no PEM CERTIFICATE"),
        ("hello", "there is no PEM CERTIFICATE"),
        (LEAF.pem[:-10], "broken or cut off"),
        (LEAF.pem + MIDDLE.pem[:300], "broken or cut off"),
        (LEAF.pem.replace("M", "\N{EURO SIGN}"), "not base64"),
        (LEAF.pem.replace("M", "\ud800"), "not base64"),
        (LEAF.pem.replace("M", "_", 1), "not base64"),
        ("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "cannot be read"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "cannot be read"),
        ("x" * (MAX_TEXT + 1), f"longer than {MAX_TEXT}"),
        (LEAF.pem * (MAX_CERTIFICATES + 1), f"{MAX_CERTIFICATES} are allowed"),
        ("-----BEGIN CERTIFICATE-----" * 2400, "broken or cut off"),
    ],
    ids=range(12),  # the texts hold fresh keys: as names they would differ from worker to worker
)
def test_what_is_no_certificate_is_refused(text: str, fault: str) -> None:
    """Text that holds no complete certificate, or too many, is an InvalidCertificate that says what is wrong."""
    with pytest.raises(CertificateError, match=fault) as caught:
        read_chain(text)
    assert caught.value.response == "InvalidCertificate"
    assert "\n" not in str(caught.value)


def patched(certificate: Issuer, old: bytes, new: bytes) -> bytes:
    assert certificate.der.count(old) == 1
    return certificate.der.replace(old, new)


def test_negative_serial_number_gives_no_warning() -> None:
    """A serial number that the standard forbids is read in silence, or refused by a later library."""
    odd = patched(ROOT.issue(serial=0x7A7A7A7A), b"\x02\x04\x7a\x7a\x7a\x7a", b"\x02\x04\xfa\x7a\x7a\x7a")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with suppress(CertificateError):
            assert read_certificate(odd).serial < 0
    assert not caught


def test_name_of_illegal_length_gives_no_warning() -> None:
    """A country of more than two letters, of which the library warns at the first look, is read in silence."""
    odd = Issuer.root("Maker Land")
    assert odd.der.count(b"\x06\x03\x55\x04\x03") == 2
    certificate = read_certificate(odd.der.replace(b"\x06\x03\x55\x04\x03", b"\x06\x03\x55\x04\x06"))
    assert certificate.name == "C=Maker Land"
    assert certificate.self_issued


def test_faults_that_show_late_are_found_at_once() -> None:
    """An unknown version, a doubled extension and a broken extension are refused when read, not when looked at."""
    usage = key_usage("digital_signature")
    doubled = ROOT.issue(usage=usage, extensions=[(x509.SubjectAlternativeName([x509.DNSName("a")]), True)])
    faults = [
        patched(ROOT, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07"),
        patched(doubled, b"\x06\x03\x55\x1d\x11", b"\x06\x03\x55\x1d\x0f"),
        patched(ROOT.issue(usage=usage), b"\x04\x04\x03\x02\x07\x80", b"\x04\x04\x03\x02\x09\x80"),
    ]
    for fault in faults:
        with pytest.raises(CertificateError, match="cannot be read"):
            read_certificate(fault)


def test_names_in_messages_are_one_short_line() -> None:
    """A hostile subject can neither break a log line nor flood it."""
    wild = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a\r\n\x1b[2J\u202e" + "b" * 50)] * 5)
    assert printable(wild).isprintable()
    assert len(printable(wild)) == 120
    assert printable(x509.Name([])) == "(no name)"


def test_unknown_digest_is_told_from_none() -> None:
    """A signature algorithm that is not known is no reason to fail while reading: the rules refuse it."""
    sha256_with_ecdsa = bytes.fromhex("06082a8648ce3d040302")
    unknown = ROOT.der.replace(sha256_with_ecdsa, bytes.fromhex("06082a8648ce3d04030f"))
    assert read_certificate(unknown).digest is None
    assert read_certificate(ROOT.der).digest == "sha256"
    assert read_certificate(Issuer.root("Ed", key=private_key("ed25519")).der).digest == ""


@quick
@given(st.text() | st.text(alphabet="-BEGIN CERTFAD0+/=\\nr\n", max_size=300))
@example("-----BEGIN CERTIFICATE----------END CERTIFICATE-----")
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever text comes, the only exception is CertificateError."""
    with suppress(CertificateError):
        assert read_chain(text)


@quick
@given(
    st.sampled_from([LEAF.der, MIDDLE.der, WITH_USAGE.der]),
    st.dictionaries(st.floats(0, 0.999), st.binary(max_size=2)),
)
def test_any_damage_is_read_or_refused(der: bytes, damage: dict[float, bytes]) -> None:
    """Whatever bytes of a certificate are changed or missing, the only exception is CertificateError."""
    for where, what in damage.items():
        place = int(where * len(der))
        der = der[:place] + what + der[place + 1 :]
    try:
        certificate = read_certificate(der)
    except CertificateError:
        return
    certificate.issued_by(certificate)
    certificate.extension(x509.KeyUsage)
    assert certificate.name
