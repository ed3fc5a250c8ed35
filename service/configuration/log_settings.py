"""What a log type is made of besides files, and what is hidden in all of it: tables within `[logs]`."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from everest_system.configuration.setting_types import (
    MEGABYTE,
    Argument,
    Arguments,
    Megabytes,
    Section,
    Words,
    contradiction,
)

Unit = Annotated[str, Field(pattern=r"^[A-Za-z0-9:_.\\@*?\[\]-]{1,255}\z")]
Units = Annotated[tuple[Unit, ...], Strict(strict=False), Words("a list of names of systemd units, wildcards included")]
Priority = Literal["", "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"]
CommandTime = Annotated[float, Field(ge=0, le=3600)]
Literals = Annotated[tuple[Argument, ...], Strict(strict=False), Words("a list of strings, none of them empty")]
Expression = Annotated[str, Words("a regular expression, as Python's `re` has them")]


class LogCommand(Section):
    """A program whose output belongs to the log type, by a name of your choice. It is never run through a shell."""

    argv: Arguments = Field(default=(), description="The program and its arguments.")
    timeout_s: CommandTime = Field(
        default=30.0, description="Seconds that it may take; then it is killed. 0: as long as it takes."
    )
    max_size_mb: Megabytes = Field(
        default=16.0, description="The most that is kept of its output, in megabytes (1,000,000 bytes)."
    )

    @property
    def max_bytes(self) -> int:
        """The most that is kept, in bytes."""
        return max(1, int(self.max_size_mb * MEGABYTE))

    @model_validator(mode="after")
    def _has_a_program(self) -> Self:
        if not self.argv:
            raise contradiction("argv", "must name a program")
        return self


class LogMask(Section):
    """Something more that is hidden in logs, by a name of your choice; the manifest counts it."""

    literals: Literals = Field(
        default=(),
        description="Every line with something to hide has one of these, letter by letter; other lines cost nothing.",
    )
    pattern: Expression = Field(
        default="", description="What is hidden: its first group, or without a group all that it matches in a line."
    )

    @model_validator(mode="after")
    def _can_be_looked_for(self) -> Self:
        if not self.literals:
            raise contradiction("literals", "must have at least one")
        try:
            found = re.compile(self.pattern.encode()).search(b"")
        except (re.error, OverflowError, RecursionError) as error:
            raise contradiction("pattern", f"is no regular expression: {error}") from error
        if found:
            raise contradiction("pattern", "must not match where nothing is")
        return self
