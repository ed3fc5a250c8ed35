"""How the world and EVerest behave in a simulation: the keys of a scenario's `[world]` and `[everest]`.

Each key has a default that lets everything go well. A step may change any of them later.
"""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from everest_system.simulation.moments import Duration, DurationOrNever

MEGABYTE = 1_000_000


class Table(BaseModel):
    """A table of a scenario: it knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, arbitrary_types_allowed=True)

    def changed(self, given: Self) -> Self:
        """This table, with the keys that `given` names in place of its own."""
        return self.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})


class Answer(Table):
    """What a transfer meets: a word (`"ok"`, `"unreachable"`), an HTTP status (`"503"`), or a table.

    Attributes:
        status: the server answers with this HTTP status; 200 is success.
        reachable: there is a server at all.
        breaks_at_mb: the connection breaks when this much has been transferred.
        retry_after_s: how long the server asks to wait before the next attempt.
        after_s: how long it takes to come to this; by default failures are quick, and the rest takes its share.
    """

    status: int = Field(default=200, ge=100, le=599)
    reachable: bool = True
    breaks_at_mb: float | None = None
    retry_after_s: float | None = None
    after_s: Duration | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        if value == "ok":
            return {}
        if value == "unreachable":
            return {"reachable": False}
        if isinstance(value, str):
            if not value.isdigit():
                raise ValueError('should be "ok", "unreachable", an HTTP status like "503", or a table')
            return {"status": int(value)}
        return value


class WorldBehaviour(Table):
    """Servers, installer and machine; durations in seconds.

    Attributes:
        download: what one attempt after the other meets; the last of them meets all that follow.
        download_s: how long the whole file takes.
        size_mb: its size, in megabytes (1,000,000 bytes).
        disable_connectors: what the firmware's manifest says of them; nothing by default.
        verify: what the check of the artifact finds.
        install: how an installation ends.
        reboot: what becomes of an order to reboot.
        reboot_s: from that order until the machine goes down.
        boot_s: from there until the service runs again.
        boots_into: which firmware the machine comes up with after an installation.
        health: of the new firmware.
        roll_back: whether the old firmware can be made the active one again.
        restart: whether EVerest can be restarted.
        everest_boot_s: how long it is away then.
        log_types: those that there are logs of.
        collect: whether the archive can be made.
        upload: as `download`.
        archive_mb: the archive's size, in megabytes.
        certificate: what the admission finds about a signing certificate.
        set_time: what becomes of an order to set the clock.
        ntp: whether NTP keeps the clock.
        ack_s: how long the broker takes to acknowledge.
        lost_acks: how many of its next acknowledgements are lost with the connection.
    """

    download: tuple[Answer, ...] = Field(default=(Answer(),), min_length=1, strict=False)
    download_s: Duration = 10.0
    size_mb: float = Field(default=32.0, gt=0)
    disable_connectors: bool | None = None
    verify: Literal["ok", "bad_signature", "unfit", "fails"] = "ok"
    verify_s: Duration = 0.5
    install: Literal["ok", "bad_signature", "unfit", "fails"] = "ok"
    install_s: Duration = 20.0
    reboot: Literal["comes", "does_not_come", "fails"] = "comes"
    reboot_s: Duration = 2.0
    boot_s: Duration = 30.0
    boots_into: Literal["new", "old"] = "new"
    health: Literal["good", "bad"] = "good"
    roll_back: Literal["ok", "fails"] = "ok"
    restart: Literal["ok", "fails"] = "ok"
    everest_boot_s: Duration = 5.0
    log_types: tuple[str, ...] = Field(default=("DiagnosticsLog", "SecurityLog"), strict=False)
    collect: Literal["ok", "fails"] = "ok"
    collect_s: Duration = 1.0
    upload: tuple[Answer, ...] = Field(default=(Answer(),), min_length=1, strict=False)
    upload_s: Duration = 5.0
    archive_mb: float = Field(default=4.0, gt=0)
    certificate: Literal["ok", "invalid", "revoked"] = "ok"
    set_time: Literal["ok", "not_ours", "fails"] = "ok"
    ntp: bool = False
    ack_s: Duration = 0.0
    lost_acks: int = Field(default=0, ge=0)


class EverestBehaviour(Table):
    """EVerest and the CSMS behind it.

    Attributes:
        ocpp: which OCPP module runs; `none`: none, every status passes and nobody permits anything.
        heartbeats: whether it has a heartbeat.
        heartbeat_every: the time between two; like the next one, it holds from a start of EVerest's on.
        heartbeats_after: from its start, when it listens already, until the first one.
        asks_boot_reason: whether its OCPP module asks for it at the start.
        registers_after: from its start until the CSMS accepts the boot, which brings `set_system_time`.
        csms_heartbeat: the time between two Heartbeats of the CSMS, each of which sets the time. They go on for ever: a
            scenario with them has to say how long it `lasts`.
        permits_after: from the trigger status until the permission to install: how long somebody still charges.
    """

    ocpp: Literal["2.0.1", "1.6", "none"] = "2.0.1"
    heartbeats: bool = True
    heartbeat_every: Duration = 1.0
    heartbeats_after: Duration = 0.0
    asks_boot_reason: bool = True
    registers_after: DurationOrNever = 3.0
    csms_heartbeat: DurationOrNever = None
    permits_after: DurationOrNever = 0.0
