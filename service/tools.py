"""What work is done with, as the settings have it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from everest_system.configuration.settings import Settings
from everest_system.fsm.artifact import Artifact
from everest_system.fsm.messages import FirmwareUpdateRequest
from everest_system.fsm.platform.boot_reasons import BootFacts
from everest_system.io.installers.port import Activation, Facts, Installer
from everest_system.io.logs.masking import AUTHORIZATION, ID_TOKENS, PASSWORDS, Mask
from everest_system.io.logs.sources import LogCommand, LogSource
from everest_system.io.platforms.boot_evidence import told_reason, watchdog_has_reset
from everest_system.io.platforms.port import Platform
from everest_system.io.program import run
from everest_system.io.removal import remove
from everest_system.io.transfers.transfer import TransferSettings
from everest_system.io.transfers.url import without_userinfo
from everest_system.signing import SigningCertificates
from everest_system.system_time import SystemTime, TimeRules

if TYPE_CHECKING:
    from everest_system.io.platforms.host_clock import Clocks


@dataclass(frozen=True, slots=True)
class Tools:
    """The edges that work needs, made once a start."""

    settings: Settings
    platform: Platform
    system_time: SystemTime
    installers: Mapping[str, Installer]
    certificates: SigningCertificates
    sources: Mapping[str, LogSource]
    masks: tuple[Mask, ...]
    downloads: TransferSettings
    uploads: TransferSettings

    @classmethod
    def from_settings(cls, settings: Settings) -> "Tools":
        """Make them.

        Raises:
            WorldError: a folder that they need cannot be made.
        """
        transfers = settings.transfers
        first_use = transfers.sftp_host_keys == "first_use"
        uploads = TransferSettings(
            ca_files=transfers.ca_files,
            client_cert_file=transfers.client_cert_file,
            client_key_file=transfers.client_key_file,
            credentials_file=transfers.credentials_file,
            sftp_key_file=transfers.sftp_key_file,
            known_hosts_file=settings.station.state_dir / "known_hosts" if first_use else transfers.known_hosts_file,
            keep_new_hosts=first_use,
            ftp_tls=transfers.ftp_tls,
            connect_timeout_s=transfers.connect_timeout_s,
            stall_timeout_s=transfers.stall_timeout_s,
            reserve_bytes=transfers.free_space_reserve_bytes,
        )
        firmware = settings.firmware
        platform = _platform(settings)
        return cls(
            settings=settings,
            platform=platform,
            system_time=SystemTime(platform, time_rules(settings), pretends=settings.platform.pretends),
            installers={module_id: _installer(settings, module_id) for module_id in settings.station.module_ids},
            certificates=SigningCertificates(
                firmware.trust_anchors, firmware.crls, firmware.chain, firmware.crl_policy
            ),
            sources={name: _source(settings, name) for name in settings.logs.sources},
            masks=_masks(settings),
            downloads=TransferSettings(**{**vars(uploads), "rate_limit_kbps": firmware.rate_limit_kbps}),
            uploads=uploads,
        )

    def artifact(self, module_id: str, job: int) -> Path:
        """The file that an update is downloaded to."""
        return self.settings.artifacts_dir(module_id) / f"update-{job}"

    def spool(self, module_id: str, job: int) -> Path:
        """The folder that an upload's archive is made in."""
        return self.settings.spool_dir(module_id) / f"upload-{job}"

    def facts(self, module_id: str, job: int, request: FirmwareUpdateRequest, artifact: Artifact) -> Facts:
        """What an installer is told."""
        return Facts(
            artifact=self.artifact(module_id, job),
            location=without_userinfo(request.location),
            request_id=request.request_id,
            module_id=module_id,
            sha256=artifact.sha256,
        )


Discard = Callable[[str, str, Path], None]
"""Removes a file or folder of a module's machine; its name is gone when it returns."""


def discard_at_once(_module_id: str, _machine: str, path: Path) -> None:
    """Remove `path`, and all of the room that it takes before this returns."""
    at_once = Event()
    at_once.set()
    remove(path, at_once)


def tidy(
    settings: Settings,
    module_id: str,
    *,
    update: int | None,
    upload: int | None,
    discard: Discard = discard_at_once,
) -> None:
    """Discard what a crash may have left of any job but the present ones."""
    for machine, folder, keep in (
        ("firmware", settings.artifacts_dir(module_id), update and f"update-{update}"),
        ("logs", settings.spool_dir(module_id), upload and f"upload-{upload}"),
    ):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in folder.iterdir():
            if path.name != keep:
                discard(module_id, machine, path)


def _source(settings: Settings, name: str) -> LogSource:
    source = settings.logs.sources[name]
    return LogSource(
        files=source.files,
        journal=source.journal,
        journal_units=source.journal_units,
        journal_priority=source.journal_priority,
        journal_max_bytes=settings.logs.journal_max_bytes,
        commands=tuple(
            LogCommand(name, command.argv, command.timeout_s, command.max_bytes)
            for name, command in sorted(source.commands.items())
        ),
        service=source.service,
    )


def _masks(settings: Settings) -> tuple[Mask, ...]:
    logs = settings.logs
    return (
        *((PASSWORDS, AUTHORIZATION) if logs.mask_passwords else ()),
        *((ID_TOKENS,) if logs.mask_id_tokens else ()),
        *(Mask(name, mask.literals, mask.pattern) for name, mask in sorted(logs.mask.items())),
    )


def _installer(settings: Settings, module_id: str) -> Installer:
    # Each is imported only where it is configured: an idle station holds nothing that it does not use.
    firmware = settings.firmware
    match firmware.installer:
        case "slots":
            from everest_system.io.installers.requirements import Requirements
            from everest_system.io.installers.slots import SlotsInstaller

            requirements = Requirements(
                manifest=firmware.slots.manifest == "required",
                compatible=firmware.slots.compatible,
                allow_downgrade=firmware.allow_downgrade,
                max_unpacked_bytes=firmware.slots.max_unpacked_bytes,
            )
            return SlotsInstaller(settings.slots_dir(module_id), Activation(firmware.slots.activation), requirements)
        case "command":
            from everest_system.io.installers.command import CommandInstaller

            command = firmware.command
            return CommandInstaller(
                command.install, command.timeout_s, Activation(command.activation), repeatable=command.repeatable
            )
        case "rauc":
            from everest_system.io.installers.rauc.installer import RaucInstaller

            rauc = firmware.rauc
            return RaucInstaller(
                rauc.bus,
                busy_timeout_s=rauc.busy_timeout_s,
                timeout_s=rauc.timeout_s,
                allow_downgrade=firmware.allow_downgrade,
            )
        case other:
            from everest_system.io.installers.discovery import make

            return make(other, firmware.own, settings.artifacts_dir(module_id).with_name("installer"))


def time_rules(settings: Settings) -> TimeRules:
    """When the clock is left alone."""
    return TimeRules(settings.platform.time_tolerance_s, settings.platform.time_despite_ntp)


def boot_facts(settings: Settings, *, forgotten: bool, goes_on: bool) -> BootFacts:
    """What the machine shows of its boot; a dry run's boots leave no marks.

    Args:
        settings: where to look.
        forgotten: what was stored of boots and orders is lost.
        goes_on: the service never ended: it only took up other modules.
    """
    platform = settings.platform
    if platform.pretends:
        return BootFacts(forgotten=forgotten, goes_on=goes_on)
    watchdogs, file = platform.watchdog_dir, platform.boot_reason_file
    return BootFacts(
        told=None if file is None else told_reason(file),
        watchdog=watchdogs is not None and watchdog_has_reset(watchdogs),
        forgotten=forgotten,
        goes_on=goes_on,
    )


def _platform(settings: Settings) -> Platform:
    if not settings.platform.pretends:
        return _real_platform(settings, run)
    from everest_system.io.platforms.dry_run import DryRunPlatform
    from everest_system.io.platforms.rehearsal import RehearsedKernel, rehearse

    if settings.platform.kind == "dry_run":
        return DryRunPlatform(settings.station.state_dir)
    return DryRunPlatform(settings.station.state_dir, _real_platform(settings, rehearse, RehearsedKernel()))


def _real_platform(settings: Settings, run: Callable[..., int], clocks: "Clocks | None" = None) -> Platform:
    platform = settings.platform
    match platform.kind:
        case "systemd":
            from everest_system.io.platforms.host_clock import HostClock
            from everest_system.io.platforms.systemd import SystemdPlatform

            return SystemdPlatform(
                everest_unit=platform.systemd.everest_unit,
                boot_id_file=platform.boot_id_file,
                clock=HostClock(platform.systemd.hardware_clock, clocks, run),
                run=run,
            )
        case "command":
            from everest_system.io.platforms.command import CommandPlatform

            command = platform.command
            return CommandPlatform(
                reboot=command.reboot,
                restart=command.restart,
                set_time=command.set_time,
                boot_id_file=platform.boot_id_file,
                run=run,
            )
        case other:
            raise NotImplementedError(f"{other}: no platform of that kind does anything")
