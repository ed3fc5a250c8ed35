"""The text form of a status report (`everest_system.report`)."""

from collections.abc import Iterator, Mapping
from typing import Any

from everest_system.commands.terminal import bar, duration, painted, printable, size

_LABEL = 12
_PERCENT = 100  # a total of 100 is a percentage: no file of interest is that small
_RESTING = {"IDLE", "ABSENT"}
_GOOD = {"INSTALLED", "UPLOADED", "REGISTERED", "PRESENT"}
_BAD = {
    "DOWNLOAD_FAILED",
    "INVALID_SIGNATURE",
    "INSTALL_VERIFICATION_FAILED",
    "INSTALLATION_FAILED",
    "UPLOAD_FAILURE",
    "BAD_MESSAGE",
    "PERMISSION_DENIED",
    "NOT_SUPPORTED_OPERATION",
}
_PRESENCE = {
    "ABSENT": "EVerest is not listening",
    "PRESENT": "EVerest is listening, its CSMS has not accepted it yet",
    "REGISTERED": "EVerest is listening, its CSMS has accepted it",
}


def status_text(report: Mapping[str, Any]) -> Iterator[str]:
    """The report, line by line."""
    running = report["running"]
    version = printable(str(report["version"]))
    if running:
        yield painted(f"everest-system {version} is running", "bold")
        yield _line("Broker", "connected" if report["broker_connected"] else painted("not connected", "red"))
    else:
        yield painted("No service is running; this is what the next one will go on with", "bold")
    platform = report["platform"]
    yield from _machine("Platform", platform, printable(f"booted: {platform['boot_reason']}"))
    for module_id, module in report["modules"].items():
        yield ""
        yield painted(printable(module_id), "bold")
        presence = module["presence"]
        if running:
            yield from _machine("EVerest", presence, _PRESENCE.get(presence["state"], ""))
        yield from _machine("Firmware", module["firmware"], _request(module["firmware"]))
        yield from _machine("Logs", module["logs"], _request(module["logs"]))
        waiting = module["messages_waiting"]
        held = " until EVerest listens" if waiting and presence["state"] == "ABSENT" else ""
        yield _line("Messages", f"{waiting} waiting{held}" if waiting else "none waiting")


def _machine(label: str, facts: Mapping[str, Any], beside: str) -> Iterator[str]:
    state = facts["state"]
    yield _line(label, painted(state, _colour(state)) + (f"  {beside}" if beside else ""))
    if "location" in facts:
        signed = {True: "  (signed)", False: "  (unsigned)"}.get(facts.get("signed", ""), "")
        yield _line("", printable(facts["location"]) + signed)
    if facts.get("file_name"):
        yield _line("", printable(facts["file_name"]))
    if "progress" in facts:
        yield _line("", _progress(**facts["progress"]))
    elif facts.get("received"):
        yield _line("", f"{size(facts['received'])} received")
    attempts = facts.get("attempts")
    told = [f"{attempts} attempt{'s' if attempts > 1 else ''} used"] if attempts else []
    told += [f"last status {facts['last_status']}"] if facts.get("last_status") else []
    told += ["the connectors stay in service"] if facts.get("disable_connectors") is False else []
    told += ["paused by the operator"] if facts.get("held") and state == "DOWNLOAD_PAUSED" else []
    if told:
        yield _line("", printable(", ".join(told)))
    if facts.get("reason"):
        yield _line("", printable(facts["reason"]))
    for timer in facts["timers"]:
        due = f"in {duration(timer['in_s'])}" if timer["in_s"] > 0 else "due now"
        yield _line("", printable(f"{timer['name']} {due}, at {timer['at']}"))


def _request(facts: Mapping[str, Any]) -> str:
    return f"request {facts['request_id']}" if "request_id" in facts else ""


def _progress(done: int, total: int | None) -> str:
    if not total:
        return f"{size(done)} done"
    figures = "" if total == _PERCENT else f"  {size(done)} of {size(total)}"
    return bar(done, total) + figures


def _line(label: str, text: str) -> str:
    return f"  {label:{_LABEL}}{text}".rstrip()


def _colour(state: str) -> str:
    if state in _RESTING:
        return "dim"
    return "green" if state in _GOOD else "red" if state in _BAD else "yellow"
