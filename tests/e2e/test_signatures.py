"""Firmware that is not the manufacturer's, through the whole service."""

import pytest
from support.http_server import File
from support.pki import NOT_AFTER, Issuer, private_key, wrapped
from support.stations import IMAGE, Station, words


def current_image(service):
    """What the active slot holds, None before anything was installed."""
    image = service.state_dir / "slots" / "current" / "image"
    return image.read_bytes() if image.exists() else None


@pytest.mark.parametrize(
    ("request_id", "end"), [(1, "InvalidSignature"), (-1, "InstallationFailed")], ids=["id 1", "id -1"]
)
def test_tampered_image(station: Station, http, maker, request_id, end):
    """One byte changed on the way ends in InvalidSignature, in 1.6's words InstallationFailed, and installs nothing."""
    http.files["/fw.bin"] = File(IMAGE[:-1] + b"!")
    service, everest = station.both()
    request = {"location": http.url("/fw.bin"), "request_id": request_id, **maker.signed()}
    assert everest.call("update_firmware", request) == "Accepted"
    everest.wait_for(end, request_id)
    assert words(everest) == ["Downloading", "Downloaded", end]
    assert current_image(service) is None
    service.wait_for_state("firmware", "INVALID_SIGNATURE")


def test_certificate_without_signature(station: Station, http, maker):
    """A certificate without a signature is Accepted and ends Downloaded, InvalidSignature."""
    service, everest = station.both()
    request = {"location": http.url("/fw.bin"), "request_id": 1, "signing_certificate": maker.signer.pem}
    assert everest.call("update_firmware", request) == "Accepted"
    everest.wait_for("InvalidSignature", 1)
    assert words(everest) == ["Downloading", "Downloaded", "InvalidSignature"]
    assert current_image(service) is None


def test_refused_certificates(station: Station, http, maker, tmp_path):
    """Certificates of strangers and revoked ones are named in the reply, a signature alone is Rejected, and no more."""
    victim = maker.root.issue("Stolen", key=private_key("p256", "Stolen"))
    crl = tmp_path / "crl.pem"
    crl.write_text(maker.root.crl(victim))
    stranger = Issuer.root("Stranger").issue("Stranger Firmware")
    service, everest = station.both({"firmware": {"crls": [str(crl)]}})

    def answer(**signed):
        return everest.call("update_firmware", {"location": http.url("/fw.bin"), "request_id": 1, **signed})

    assert answer(signing_certificate=stranger.pem, signature=stranger.sign(IMAGE)) == "InvalidCertificate"
    assert answer(signing_certificate=victim.pem, signature=victim.sign(IMAGE)) == "RevokedCertificate"
    assert answer(signing_certificate="no PEM", signature="AAAA") == "InvalidCertificate"
    assert answer(signature=maker.signer.sign(IMAGE)) == "Rejected"
    assert (words(everest), http.requests, service.states("firmware")) == ([], [], [])
    assert len(service.lines("update_firmware refused")) == 4


def test_schemes(station: Station, http, maker):
    """RSA-PSS, RSA PKCS#1 v1.5 and ECDSA signatures, here by roots themselves and in wrapped base64, are verified."""
    rsa = Issuer.root("RSA", key=private_key("rsa2048", "RSA"))
    (station.folder / "maker.pem").write_text(maker.root.pem + rsa.pem)
    service, everest = station.both()
    signers = {"rsa-pss": rsa, "rsa-pkcs1v15": rsa, "ecdsa": maker.root}
    for request_id, (scheme, root) in enumerate(signers.items()):
        image = scheme.encode() + IMAGE
        http.files["/fw.bin"] = File(image)
        signed = {"signing_certificate": root.pem, "signature": wrapped(root.sign(image, scheme))}
        request = {"location": http.url("/fw.bin"), "request_id": request_id, **signed}
        assert everest.call("update_firmware", request) == "Accepted"
        everest.wait_for("Installed", request_id)
        assert words(everest, request_id) == [
            "Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed",
        ]  # fmt: skip
        assert current_image(service) == image


def test_chain_in_any_order(station: Station, http, maker):
    """A chain may come root first, its line ends as two characters, and its signature is verified all the same."""
    middle = maker.root.issue("Maker CA", ca=True)
    signer = middle.issue("Maker Signer", key=private_key("rsa2048", "Maker Signer"))
    chain = (maker.root.pem + middle.pem + signer.pem).replace("\n", "\\n")
    service, everest = station.both()
    signed = {"signing_certificate": chain, "signature": signer.sign(IMAGE, "rsa-pss")}
    request = {"location": http.url("/fw.bin"), "request_id": 1, **signed}
    assert everest.call("update_firmware", request) == "Accepted"
    everest.wait_for("Installed", 1)
    assert words(everest) == ["Downloading", "Downloaded", "SignatureVerified", "Installing", "Installed"]
    assert current_image(service) == IMAGE


def test_lists_required(station: Station, http, maker, tmp_path):
    """Where lists are required, an outdated one is InvalidCertificate; a fresh one counts at once, for good or ill."""
    crl = tmp_path / "crl.pem"
    crl.write_text(maker.root.crl())  # its next update is in the past of the real clock
    service, everest = station.both({"firmware": {"crls": [str(crl)], "crl_policy": "require"}})
    request = {"location": http.url("/fw.bin"), "request_id": 1, **maker.signed()}
    assert everest.call("update_firmware", request) == "InvalidCertificate"
    assert "out of date" in str(service.lines("update_firmware refused")[0])
    crl.write_text(maker.root.crl(maker.signer, next_update=NOT_AFTER))
    assert everest.call("update_firmware", request) == "RevokedCertificate"
    assert (words(everest), http.requests) == ([], [])
    crl.write_text(maker.root.crl(next_update=NOT_AFTER))
    assert everest.call("update_firmware", request) == "Accepted"
    everest.wait_for("Installed", 1)
    assert current_image(service) == IMAGE
