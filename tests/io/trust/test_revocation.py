"""CRLs: what a list of an issuer says of a certificate, and which lists say nothing."""

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st
from support.examples import examples
from support.pki import NOW, Issuer, key_usage, private_key

from everest_system.io.trust.certificates import Certificate, read_certificate
from everest_system.io.trust.known_time import KnownTime
from everest_system.io.trust.revocation import check_revocation, read_revocation_list
from everest_system.io.trust.verification_error import CertificateError

ROOT = Issuer.root()
LEAF = ROOT.issue()
OTHER = ROOT.issue("Other")
DAY = timedelta(days=1)
TIME = KnownTime(NOW, NOW)


def der(crl: str) -> bytes:
    return x509.load_pem_x509_crl(crl.encode()).public_bytes(serialization.Encoding.DER)


GOOD, NAMED = der(ROOT.crl(OTHER)), der(ROOT.crl(OTHER, LEAF))


def read(issuer: Issuer) -> Certificate:
    return read_certificate(issuer.der)


def check(*crls: str, issuer: Issuer | None = ROOT) -> str | None:
    lists = [read_revocation_list(der(crl), f"{number}.crl") for number, crl in enumerate(crls)]
    return check_revocation(read(LEAF), [read(issuer)] if issuer else [], lists, TIME)


def revoked(*crls: str, issuer: Issuer = ROOT) -> bool:
    try:
        check(*crls, issuer=issuer)
    except CertificateError as error:
        return error.response == "RevokedCertificate" and f"{error}".startswith("CN=Maker Firmware: revoked (")
    return False


def test_named_or_not() -> None:
    """A certificate is revoked exactly if its issuer's list names it."""
    assert revoked(ROOT.crl(LEAF))
    assert revoked(ROOT.crl(OTHER), ROOT.crl(OTHER, LEAF))
    assert check(ROOT.crl(OTHER)) is None
    assert check(ROOT.crl()) is None


def test_revocation_outlives_its_list() -> None:
    """Who is on a list stays revoked after the list is out of date, and before it begins."""
    assert revoked(ROOT.crl(LEAF, next_update=NOW - timedelta(seconds=1)))
    assert revoked(ROOT.crl(LEAF, last_update=NOW + DAY))


@pytest.mark.parametrize(
    ("crl", "why"),
    [
        ([], "no CRL of CN=Maker Root"),
        ([Issuer.root("Somebody").crl()], "no CRL of CN=Maker Root"),
        ([ROOT.crl(next_update=NOW - timedelta(seconds=1))], "0.crl: out of date"),
        ([ROOT.crl(last_update=NOW + DAY)], "0.crl: not valid yet"),
    ],
    ids=["none", "another issuer's", "expired", "not begun"],
)
def test_without_a_current_list_revocation_is_unknown(crl: list[str], why: str) -> None:
    """Where no current list speaks, the answer says that revocation is unknown, and why; it is no refusal."""
    assert check(*crl) == f"CN=Maker Firmware: revocation is unknown ({why})"


def test_forged_list_counts_for_nothing() -> None:
    """A list that the issuer's key did not sign neither revokes nor reassures."""
    forged = ROOT.crl(LEAF, key=private_key("p256", "Thief"))
    assert check(forged) == "CN=Maker Firmware: revocation is unknown (0.crl: its issuer did not sign it)"
    of_another_kind = ROOT.crl(LEAF, key=private_key("rsa2048"))
    assert "did not sign it" in str(check(of_another_kind))
    assert check(forged, ROOT.crl()) is None
    assert revoked(forged, ROOT.crl(LEAF))


def test_list_of_an_unknown_issuer() -> None:
    """While the issuer's certificate is not at hand, its list cannot be believed."""
    assert "its issuer is not known" in str(check(ROOT.crl(LEAF), issuer=None))


def test_issuer_whose_key_signs_nothing() -> None:
    """An issuer with a kind of key that cannot sign proves nothing, and breaks nothing."""
    issuer = ROOT.issue("Maker Root", key=private_key("x25519"))
    assert "did not sign it" in str(check(ROOT.crl(LEAF), issuer=issuer))


def test_issuer_that_may_not_sign_lists() -> None:
    """An issuer whose key usage leaves out cRLSign speaks with no authority (RFC 5280, 6.3.3 f)."""
    issuer = Issuer.root(usage=key_usage("key_cert_sign"))
    assert "does not include cRLSign" in str(check(ROOT.crl(LEAF), issuer=issuer))
    assert revoked(ROOT.crl(LEAF), issuer=Issuer.root(usage=key_usage("key_cert_sign", "crl_sign")))


def distribution_point(url: str | None = None, **only: object) -> x509.IssuingDistributionPoint:
    said = {
        "full_name": [x509.UniformResourceIdentifier(url)] if url else None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**said, **only})


@pytest.mark.parametrize(
    ("extension", "critical", "why"),
    [
        (x509.DeltaCRLIndicator(1), True, "delta CRLs are not supported"),
        (distribution_point(indirect_crl=True), True, "indirect CRLs are not supported"),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True, "extension 1.2.3.4"),
    ],
)
def test_lists_of_other_kinds_are_not_used(extension: x509.ExtensionType, critical: bool, why: str) -> None:
    """A list that means something else than it seems to is left out, and named in the warning."""
    assert why in str(check(ROOT.crl(LEAF, extensions=[(extension, critical)])))


def test_lists_with_harmless_extensions_are_used() -> None:
    """A number and an unknown extension that is not critical change nothing."""
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    harmless = [(x509.CRLNumber(7), False), (unknown, False)]
    assert revoked(ROOT.crl(LEAF, extensions=harmless))
    assert check(ROOT.crl(extensions=harmless)) is None


URL, OTHER_URL = "http://maker.example/1.crl", "http://maker.example/2.crl"
POINTED = ROOT.issue(
    "Pointed",
    extensions=[
        (
            x509.CRLDistributionPoints([x509.DistributionPoint([x509.UniformResourceIdentifier(URL)], *[None] * 3)]),
            False,
        )
    ],
)
AUTHORITY = ROOT.issue("Maker CA 1", ca=True)
SAID_NO_CA = ROOT.issue("User", extensions=[(x509.BasicConstraints(ca=False, path_length=None), True)])
IN_PART = x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, "part")])


@pytest.mark.parametrize(
    ("point", "victim", "covered"),
    [
        (distribution_point(only_contains_user_certs=True), LEAF, True),
        (distribution_point(only_contains_user_certs=True), SAID_NO_CA, True),
        (distribution_point(only_contains_user_certs=True), AUTHORITY, False),
        (distribution_point(only_contains_ca_certs=True), AUTHORITY, True),
        (distribution_point(only_contains_ca_certs=True), LEAF, False),
        (distribution_point(only_contains_attribute_certs=True), LEAF, False),
        (distribution_point(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})), LEAF, False),
        (distribution_point(URL), POINTED, True),
        (distribution_point(OTHER_URL), POINTED, False),
        (distribution_point(URL), LEAF, False),
        (distribution_point(relative_name=IN_PART), LEAF, False),
    ],
    ids=[
        "users",
        "users, no CA",
        "users, CA",
        "CAs",
        "CAs, user",
        "attributes",
        "reasons",
        "part",
        "other part",
        "a part",
        "relative",
    ],
)
def test_list_for_some_certificates(point: x509.IssuingDistributionPoint, victim: Issuer, covered: bool) -> None:
    """A list for some certificates reassures nobody else, but whoever is on it is revoked (RFC 5280, 6.3.3)."""

    def answer(*revoked: Issuer) -> str | None:
        crl = read_revocation_list(der(ROOT.crl(*revoked, extensions=[(point, True)])), "part.crl")
        return check_revocation(read(victim), [read(ROOT)], [crl], TIME)

    assert (answer() is None) == covered
    assert covered or "part.crl: made for other certificates" in str(answer())
    with pytest.raises(CertificateError, match="revoked"):
        answer(victim)


def test_time_that_is_not_known() -> None:
    """While the clock is not believed, a list is out of date only if it surely is, and never not valid yet."""
    later = KnownTime.told(clock=NOW - 9000 * DAY, built=NOW)
    lists = {
        True: [ROOT.crl(), ROOT.crl(last_update=NOW + DAY)],
        False: [ROOT.crl(next_update=NOW - timedelta(hours=1))],
    }
    for current, crls in lists.items():
        for crl in crls:
            read_list = read_revocation_list(der(crl), "list")
            assert (check_revocation(read(LEAF), [read(ROOT)], [read_list], later) is None) == current


@settings(max_examples=examples(150))
@given(st.sampled_from([GOOD, NAMED]), st.dictionaries(st.floats(0, 0.999), st.binary(max_size=2)) | st.binary())
def test_any_damage_is_read_or_refused(crl: bytes, damage: dict[float, bytes] | bytes) -> None:
    """Whatever bytes stand in a CRL, the only exception is CertificateError, and no damaged list reassures."""
    damaged = damage if isinstance(damage, bytes) else crl
    for where, what in damage.items() if isinstance(damage, dict) else ():
        place = int(where * len(damaged))
        damaged = damaged[:place] + what + damaged[place + 1 :]
    try:
        answer = check_revocation(read(LEAF), [read(ROOT)], [read_revocation_list(damaged, "list")], TIME)
    except CertificateError:
        return
    assert answer is not None or damaged == GOOD
