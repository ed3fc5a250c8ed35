"""`everest-system verify`: is this firmware file signed as the service wants it?"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from everest_system.commands.configured import settings_of
from everest_system.commands.options import Config, examples
from everest_system.fsm.errors import WorldError
from everest_system.version import BUILT

_LARGEST_TEXT = 1024 * 1024

File = Annotated[
    Path,
    typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True, help="The firmware file."),
]
Certificate = Annotated[
    Path,
    typer.Option(
        "--certificate", metavar="PEM", exists=True, dir_okay=False, readable=True,
        help="The signing certificate; its intermediates may follow in the same file.",
    ),
]  # fmt: skip
Signature = Annotated[
    Path,
    typer.Option(
        "--signature", metavar="BASE64FILE", exists=True, dir_okay=False, readable=True,
        help="The signature over the whole file, base64.",
    ),
]  # fmt: skip
Anchors = Annotated[
    list[Path] | None,
    typer.Option(
        "--anchor", metavar="PEM", exists=True, show_default=False,
        help="A trust anchor, file or folder; may be repeated. Without it: firmware.trust_anchors.",
    ),
]  # fmt: skip
Crls = Annotated[
    list[Path] | None,
    typer.Option(
        "--crl", metavar="PEM", exists=True, show_default=False,
        help="A revocation list, file or folder; may be repeated. Without it: firmware.crls.",
    ),
]  # fmt: skip


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "verify",
        epilog=examples(
            "everest-system verify fw.img --certificate signer.pem --signature fw.sig.b64 --anchor root.pem"
        ),
    )(verify)


def verify(
    file: File,
    certificate: Certificate,
    signature: Signature,
    anchor: Anchors = None,
    crl: Crls = None,
    config: Config = None,
) -> None:
    """Check the signature of a firmware file.

    As the service would, with the same trust anchors. Prints the signature's scheme, exit code 0; or the reason why
    the file is refused, exit code 1.
    """
    settings = settings_of(config)
    from everest_system.io.trust.signature import verify_file
    from everest_system.io.trust.trust import Trust

    firmware = settings.firmware
    anchors = anchor or firmware.trust_anchors
    chain = "anchors" if anchor else firmware.chain
    if chain == "anchors" and not anchors:
        raise WorldError("no trust anchor: give --anchor, or set firmware.trust_anchors in the configuration")
    if chain == "everest":
        _note("nobody vouches for the certificate here (no --anchor): only its dates and key are looked at")
    trust = Trust(anchors, crl or firmware.crls, chain, _note, crl_policy=firmware.crl_policy, built=BUILT)
    with _naming(certificate):
        signer = trust.check(_text(certificate), datetime.now(UTC))
    with _naming(signature):
        scheme = verify_file(file, signer, _text(signature), firmware.signature_schemes)
    typer.echo(scheme)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file in front of what is wrong with what is in it; a trust file has its name there already."""
    from everest_system.io.trust.verification_error import CertificateError, SignatureError, TrustError

    try:
        yield
    except TrustError:
        raise
    except (CertificateError, SignatureError) as error:
        raise WorldError(f"{path}: {error}") from error


def _note(line: str) -> None:
    typer.echo(f"note: {line}", err=True)


def _text(file: Path) -> str:
    """What is no text stays recognizable as none to whoever reads it next."""
    with file.open("rb") as stream:
        return stream.read(_LARGEST_TEXT).decode("latin-1")
