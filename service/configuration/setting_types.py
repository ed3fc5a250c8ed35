"""The kinds of value that a setting can have: what each takes, and the words that say so.

A value is taken in the type that TOML gives it and never converted from another: `"1883"` is no port, `1` is no
boolean. (The environment, where everything is text, is parsed before it comes here.) `allowed` says in words what a
kind takes; error lines and the configuration page both get their words from it, so that they cannot differ.

    >>> allowed(Port)
    'a whole number, 1 to 65535'
"""

import types
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError

SECONDS_MAX = 1_000_000_000
"""The longest time that can be configured: three decades, and still within what a calendar holds."""

DAY_S = 86_400
MEGABYTE = 1_000_000


class Section(BaseModel):
    """A table of the configuration: it never changes once made, and knows all its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


@dataclass(frozen=True, slots=True)
class Words:
    """What a kind of value takes, in words, where its annotation alone does not say it."""

    text: str


def contradiction(key: str, text: str) -> PydanticCustomError:
    """An error for keys of one section that do not go together.

    Args:
        key: the key to mend, dotted from the section on.
        text: what is wrong with it.
    """
    return PydanticCustomError("contradiction", "{text}", {"key": key, "text": text})


def needs_partner(section: Section, first: str, second: str) -> None:
    """Let neither of two keys stand without the other.

    Raises:
        PydanticCustomError: one is set and the other is not; it names the one that is missing.
    """
    for given, missing in ((first, second), (second, first)):
        if getattr(section, given) is not None and getattr(section, missing) is None:
            raise contradiction(missing, f"must be set, since {given} is")


def _plain(text: str) -> str:
    if not text.isprintable():
        raise PydanticCustomError("characters", "has a character that cannot be printed")
    return text


def _path(value: object) -> object:
    if not isinstance(value, str):
        return value
    if "\0" in value:
        raise PydanticCustomError("characters", "has a NUL in it")
    return Path(value) if value else None


def _required(value: object) -> object:
    if value == "":
        raise PydanticCustomError("empty", "is no path")
    return _path(value)


def _argument(text: str) -> str:
    if not text or "\0" in text:
        raise PydanticCustomError("argument", "is empty or has a NUL in it")
    return text


def _pattern(text: str) -> str:
    parts = PurePosixPath(text).parts
    if not text.startswith("/") or len(parts) == 1 or ".." in parts:
        raise PydanticCustomError("pattern", 'is not absolute, or has a ".." in it')
    return text


def _auto_alone(values: tuple[str, ...]) -> tuple[str, ...]:
    if AUTO in values and len(values) > 1:
        raise PydanticCustomError("auto", 'has "{auto}" beside other names', {"auto": AUTO})
    return values


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for index, value in enumerate(values):
        if value in values[:index]:
            raise PydanticCustomError("repeated", "has {value} twice", {"value": f'"{value}"'})
    return values


Text = Annotated[str, AfterValidator(_plain), Words('text, or "" for none')]
Name = Annotated[
    str,
    Field(min_length=1, max_length=255, pattern=r"^\S+$"),
    AfterValidator(_plain),
    Words("a name or an address, without blanks"),
]
UnitName = Annotated[
    str,
    Field(max_length=255, pattern=r"^[A-Za-z0-9_.@:\\][A-Za-z0-9_.@:\\-]*\z"),
    Words("the name of a systemd unit"),
]
TopicPrefix = Annotated[
    str,
    Field(max_length=1024, pattern=r"^[^+#]*$"),
    AfterValidator(_plain),
    Words('the beginning of a topic, without "+" and "#", or "" for none'),
]
Port = Annotated[int, Field(ge=1, le=65_535)]
Attempts = Annotated[int, Field(ge=1, le=1000)]
Seconds = Annotated[float, Field(ge=0, le=SECONDS_MAX)]
RetryInterval = Annotated[float, Field(ge=0, le=30 * DAY_S)]
Megabytes = Annotated[float, Field(gt=0, le=1_000_000)]
RequiredPath = Annotated[Path, BeforeValidator(_required), Words("a path")]
OptionalPath = Annotated[Path | None, BeforeValidator(_path), Words('a path, or "" for none')]
Paths = Annotated[tuple[RequiredPath, ...], Strict(strict=False), Words("a list of paths")]
Argument = Annotated[str, AfterValidator(_argument)]
Arguments = Annotated[
    tuple[Argument, ...],
    Strict(strict=False),
    Words("a list of strings, none of them empty: the program and its arguments"),
]
Pattern = Annotated[str, AfterValidator(_argument), AfterValidator(_pattern)]
Patterns = Annotated[
    tuple[Pattern, ...], Strict(strict=False), Words('a list of absolute file patterns, without ".." in them')
]
AUTO = "auto"
NAMES = "names of 1 to 64 letters, digits, _ and -"
PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}\z")]
ModuleIds = Annotated[
    tuple[PlainName, ...],
    Strict(strict=False),
    Field(min_length=1),
    AfterValidator(_each_once),
    AfterValidator(_auto_alone),
    Words(f'a list of one or more {NAMES}, each once, or ["{AUTO}"]'),
]
Activation = Literal["reboot", "restart", "none"]
Scheme = Literal["https", "http", "ftps", "ftp", "sftp", "file"]
Schemes = Annotated[tuple[Scheme, ...], Strict(strict=False), Field(min_length=1), AfterValidator(_each_once)]
REMOTE_SCHEMES: Schemes = ("https", "http", "ftps", "ftp", "sftp")
SignatureScheme = Literal["rsa-pss", "rsa-pkcs1v15", "ecdsa"]
SignatureSchemes = Annotated[
    tuple[SignatureScheme, ...], Strict(strict=False), Field(min_length=1), AfterValidator(_each_once)
]


def choices(annotation: Any) -> str:
    """The choices of a `Literal`, quoted as TOML has them."""
    return ", ".join(f'"{choice}"' for choice in get_args(annotation))


def bare(annotation: Any) -> Any:
    """The annotation without `Annotated` around it and without `None` beside it."""
    if get_origin(annotation) is Annotated:
        return bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return bare(next(kind for kind in get_args(annotation) if kind is not type(None)))
    return annotation


def allowed(annotation: Any, metadata: Iterable[Any] = ()) -> str:
    """What a value of this kind may be, in words for a person.

    Args:
        annotation: one of the kinds above, or a plain type.
        metadata: what pydantic took off the annotation of a field, if it is one's.
    """
    details = [*metadata]
    if get_origin(annotation) is Annotated:
        details += get_args(annotation)[1:]
        details += [bound for detail in details for bound in getattr(detail, "metadata", ())]
    for detail in details:
        if isinstance(detail, Words):
            return detail.text
    kind = bare(annotation)
    if get_origin(kind) is tuple:
        return f"a list of one or more of {choices(get_args(kind)[0])}, each once"
    if get_origin(kind) is Literal:
        return f"one of {choices(kind)}"
    if kind is bool:
        return "true or false"
    return f"{'a whole number' if kind is int else 'a number'}, {_range(details)}"


def _range(details: Iterable[Any]) -> str:
    low, high = "", ""
    for detail in details:
        match detail:
            case Ge(ge=bound):
                low = f"{bound} to "
            case Gt(gt=bound):
                low = f"above {bound}, up to "
            case Le(le=bound):
                high = str(bound)
    return low + high
