"""The files that a configuration names: whether each is there, can be read or run, and is what it should be.

Looked at apart from the keys, since a configuration can be right on one machine and its files on another:
`check-config` and the start of the service ask, nobody else does. Trust anchors and CRLs only `check-config` looks
into: it takes a library that an idle station can spare, and a list that breaks in the field must not stop the service.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from everest_system.configuration.settings import Settings
from everest_system.fsm.errors import WorldError


def check_files(settings: Settings) -> list[str]:
    """One line for each file that is named and cannot be used, with the key that names it."""
    return [*_unreadable(settings), *_broken(settings), *_programs(settings)]


def check_trust(settings: Settings) -> list[str]:
    """One line for the trust anchors and one for the CRLs, where a file of them is broken."""
    from everest_system.io.trust.trust import Trust

    firmware, problems = settings.firmware, []
    for key, trust in (("trust_anchors", Trust(anchors=firmware.trust_anchors)), ("crls", Trust(crls=firmware.crls))):
        try:
            trust.check_files()
        except WorldError as error:
            problems.append(f"firmware.{key}: {error}")
    return problems


def _unreadable(settings: Settings) -> Iterator[str]:
    for key, path in _files(settings):
        if not path.is_file():
            yield f"{key}: {path} {'is no file' if path.exists() else 'does not exist'}"
        elif not os.access(path, os.R_OK):
            yield f"{key}: {path} cannot be read"
    for key, paths in (("trust_anchors", settings.firmware.trust_anchors), ("crls", settings.firmware.crls)):
        for path in paths:
            if not path.exists():
                yield f"firmware.{key}: {path} does not exist"
            elif not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
                yield f"firmware.{key}: {path} cannot be read"


def _broken(settings: Settings) -> Iterator[str]:
    for key, look, files in _looks(settings):
        if all(path is not None and path.is_file() and os.access(path, os.R_OK) for path in files):
            try:
                look(*files)
            except WorldError as error:
                yield f"{key}: {error}"


def _looks(settings: Settings) -> Iterator[tuple[str, Callable[..., object], tuple[Path | None, ...]]]:
    """What says whether a file is what it should be."""
    tls, transfers = settings.mqtt.tls, settings.transfers
    client = (transfers.client_cert_file, transfers.client_key_file)
    if not any((tls, *client, transfers.ca_files, transfers.credentials_file, transfers.sftp_key_file)):
        return  # a station without such files does not load what looks into them
    from everest_system.io.transfers.private_keys import check_client_certificate, check_ssh_key
    from everest_system.io.transfers.roots import check_roots

    if tls is not None:
        yield "mqtt.tls.ca_file", check_roots, (tls.ca_file,)
        yield "mqtt.tls.cert_file", check_client_certificate, (tls.cert_file, tls.key_file)
    for path in transfers.ca_files:
        yield "transfers.ca_files", check_roots, (path,)
    yield "transfers.client_cert_file", check_client_certificate, client
    if transfers.credentials_file is not None:
        from everest_system.io.transfers.credentials_file import find

        yield "transfers.credentials_file", lambda file: find(file, ""), (transfers.credentials_file,)
    yield "transfers.sftp_key_file", check_ssh_key, (transfers.sftp_key_file,)


def _files(settings: Settings) -> Iterator[tuple[str, Path]]:
    tls, transfers = settings.mqtt.tls, settings.transfers
    named = [("mqtt.password_file", settings.mqtt.password_file)]
    if tls is not None:
        named += [("mqtt.tls.ca_file", tls.ca_file), ("mqtt.tls.cert_file", tls.cert_file)]
        named += [("mqtt.tls.key_file", tls.key_file)]
    named += [("transfers.ca_files", path) for path in transfers.ca_files]
    named += [("transfers.client_cert_file", transfers.client_cert_file)]
    named += [("transfers.client_key_file", transfers.client_key_file)]
    named += [("transfers.credentials_file", transfers.credentials_file)]
    named += [("transfers.sftp_key_file", transfers.sftp_key_file)]
    named += [("transfers.known_hosts_file", transfers.known_hosts_file)]
    if not settings.platform.pretends:
        named += [("platform.boot_id_file", settings.platform.boot_id_file)]
    yield from ((key, path) for key, path in named if path is not None)


def _programs(settings: Settings) -> Iterator[str]:
    """Programs of the chosen installer and platform; a health check may come with the firmware that it checks."""
    named = []
    if settings.firmware.installer == "command":
        named += [("firmware.command.install", settings.firmware.command.install)]
    if settings.platform.kind == "command":
        command = settings.platform.command
        named += [("reboot", command.reboot), ("restart", command.restart), ("set_time", command.set_time)]
        named = [(key if "." in key else f"platform.command.{key}", arguments) for key, arguments in named]
    if settings.platform.kind == "systemd" and not settings.platform.pretends:
        named += [("platform.kind", ("systemctl",))]
    for key, arguments in named:
        if arguments and shutil.which(arguments[0]) is None:
            yield f"{key}: {arguments[0]} is no program that can be run"
