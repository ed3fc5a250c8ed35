"""The files that a configuration names: whether each is there and can be read, or run.

Looked at apart from the keys, since a configuration can be right on one machine and its files on another:
`check-config` and the start of the service ask, nobody else does. What is in the files is not looked at.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from everest_system.configuration.settings import Settings


def check_files(settings: Settings) -> list[str]:
    """One line for each file that is named and cannot be used, with the key that names it."""
    return [*_unreadable(settings), *_programs(settings)]


def _unreadable(settings: Settings) -> Iterator[str]:
    for key, path in _files(settings):
        if not path.is_file():
            yield f"{key}: {path} {'is no file' if path.exists() else 'does not exist'}"
        elif not os.access(path, os.R_OK):
            yield f"{key}: {path} cannot be read"
        elif path == settings.transfers.credentials_file and path.stat().st_mode & stat.S_IRWXO:
            yield f"{key}: {path} is open to all users: chmod o= {path}"
    for key, paths in (("trust_anchors", settings.firmware.trust_anchors), ("crls", settings.firmware.crls)):
        for path in paths:
            if not path.exists():
                yield f"firmware.{key}: {path} does not exist"
            elif not os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK):
                yield f"firmware.{key}: {path} cannot be read"


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
    if settings.platform.kind != "dry_run":
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
    for key, arguments in named:
        if arguments and shutil.which(arguments[0]) is None:
            yield f"{key}: {arguments[0]} is no program that can be run"
