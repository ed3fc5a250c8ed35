"""Clocks that are set in a test: the kernel's calls, kept instead of done."""

from datetime import datetime
from pathlib import Path


class FakeClocks:
    """Fills the port `io.platforms.host_clock.Clocks`.

    Attributes:
        clock: what the system's clock was set to, in order.
        hardware: what the hardware clock was set to, with its device.
        refuses: raised in place of setting the clock.
        hardware_refuses: raised in place of setting the hardware clock.
    """

    def __init__(self, refuses: OSError | None = None, hardware_refuses: OSError | None = None) -> None:
        self.clock: list[datetime] = []
        self.hardware: list[tuple[Path, datetime]] = []
        self.refuses, self.hardware_refuses = refuses, hardware_refuses

    def set_clock(self, to: datetime) -> None:
        """Keep it, or refuse."""
        if self.refuses is not None:
            raise self.refuses
        self.clock.append(to)

    def set_hardware_clock(self, device: Path, to: datetime) -> None:
        """Keep it, or refuse."""
        if self.hardware_refuses is not None:
            raise self.hardware_refuses
        self.hardware.append((device, to))
