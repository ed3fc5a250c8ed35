"""URLs from outside: checked once, carried onward in one spelling, shown without their secrets.

`location` is the gate: what it returns is plain ASCII, has an allowed scheme and a host (`file:` has none), and reads
the same for every parser behind it. No message here repeats the text it complains about, for that may hold a password.

    >>> location("HTTPS://bücher.example/größe.bin", {"https"})
    'https://xn--bcher-kva.example/gr%C3%B6%C3%9Fe.bin'
"""

import re
from collections.abc import Collection
from ipaddress import IPv6Address
from typing import Final
from urllib.parse import SplitResult, quote, unquote_to_bytes, urljoin, urlsplit, urlunsplit

from everest_system.fsm.errors import RequestError

MAX_LENGTH: Final = 8192
"""Characters; OCPP stops at 2,000, redirects to signed addresses are longer."""

_HOST: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_SAFE: Final = "!$&'()*+,;=:@/?[]~%"
"""Left as it is in paths and queries; whatever else is no letter, digit or `-._~` is percent-encoded."""
_PRINTABLE: Final = re.compile(rb"[^\x00-\x1f\x7f]*")
_WEB: Final = frozenset({"http", "https"})


def location(text: str, schemes: Collection[str]) -> str:
    """Return `text` as a URL that is safe to hand on.

    Scheme and host come back in lower case, letters beyond ASCII as IDNA (host) or percent-encoded UTF-8 (the rest),
    and the fragment is dropped, since no server ever sees it.

    Args:
        text: the URL as it came from outside.
        schemes: the schemes allowed, in lower case.

    Raises:
        RequestError: it is no URL, has no host, holds control characters or spaces, or its scheme is not allowed.
    """
    if not text or len(text) > MAX_LENGTH:
        raise RequestError(f"the location is no URL of 1 to {MAX_LENGTH} characters")
    if any(c.isspace() or not c.isprintable() for c in text) or "\\" in text:
        raise RequestError("the location holds spaces, control characters or backslashes")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise RequestError("the location is no URL") from None
    if parts.scheme not in schemes or not text.lower().startswith(f"{parts.scheme}://"):
        raise RequestError(f"the location's scheme is none of {', '.join(sorted(schemes))}")
    if port == 0:
        raise RequestError("the location has an impossible port")
    if parts.scheme == "file":
        netloc = _this_machine(parts)
    else:
        netloc = _userinfo(parts) + _host(parts) + ("" if port is None else f":{port}")
    if parts.scheme not in _WEB and not _PRINTABLE.fullmatch(unquote_to_bytes(parts.path)):
        raise RequestError("the location's path holds control characters")
    return urlunsplit((parts.scheme, netloc, quote(parts.path, _SAFE), quote(parts.query, _SAFE), ""))


def redirect_target(url: str, to: str, schemes: Collection[str]) -> str:
    """Return where a server's `Location` field leads from `url`.

    User and password go along only to the very same scheme, host and port.

    Raises:
        RequestError: it leads to no usable URL, to a scheme that is not allowed or not HTTP, or from https to http.
    """
    try:
        joined = urljoin(without_userinfo(url), to.strip().replace(" ", "%20"))
    except ValueError:
        raise RequestError("the redirect leads to no URL") from None
    try:
        target = location(joined, _WEB.intersection(schemes))
    except RequestError as error:
        raise RequestError(f"the redirect cannot be followed: {error}") from None
    old, new = urlsplit(url), urlsplit(target)
    if (old.scheme, new.scheme) == ("https", "http"):
        raise RequestError("the redirect leads from https to http")
    if old.scheme == new.scheme and old.netloc.rpartition("@")[2] == new.netloc:
        return urlunsplit(new._replace(netloc=old.netloc))
    return target


def upload_target(url: str, file_name: str) -> str:
    """Return where to upload a file to (OCPP 2.1 N01.FR.21, .29).

    A URL without a path, or whose path ends in `/`, gets the file name appended (before any query); any other is used
    as it is.
    """
    parts = urlsplit(url)
    if parts.path and not parts.path.endswith("/"):
        return url
    return urlunsplit(parts._replace(path=(parts.path or "/") + quote(file_name, "")))


def credentials(url: str) -> tuple[bytes, bytes] | None:
    """Return user and password of a URL, decoded, or None when it names no user."""
    userinfo, at, _ = urlsplit(url).netloc.rpartition("@")
    if not at:
        return None
    user, _, password = userinfo.partition(":")
    return unquote_to_bytes(user), unquote_to_bytes(password)


def without_userinfo(url: str) -> str:
    """Return a URL without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def redacted(url: str) -> str:
    """Return any text that should be a URL as something fit for a log: no userinfo, no query, one printable line."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        if not parts.scheme or not (parts.hostname or parts.scheme == "file") or (parts.port or 1) < 1:
            return "(no URL)"
    except ValueError:
        return "(no URL)"
    shown = f"{parts.scheme}://{host}{parts.path}{'?…' if parts.query else ''}"
    return "".join(c if c.isprintable() else "?" for c in shown[:512])


def origin(url: str) -> str:
    """Return scheme, host and port of a URL, fit for a log."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _this_machine(parts: SplitResult) -> str:
    if parts.netloc.lower() not in {"", "localhost"}:
        raise RequestError("the location names a file of another machine")
    return ""


def _userinfo(parts: SplitResult) -> str:
    userinfo, at, _ = parts.netloc.rpartition("@")
    if not at:
        return ""
    if not _PRINTABLE.fullmatch(unquote_to_bytes(userinfo)):
        raise RequestError("the location's user or password holds control characters")
    user, colon, password = userinfo.partition(":")
    return quote(user, "!$&'()*+,;=~%") + colon + quote(password, "!$&'()*+,;=~%") + at


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    try:
        if ":" in host and "%" not in host:  # a zone makes sense on one machine only
            return f"[{IPv6Address(host).compressed}]"
        name = host.encode("idna").decode("ascii").lower()
    except ValueError:
        raise RequestError("the location has no valid host") from None
    if not _HOST.fullmatch(name):
        raise RequestError("the location has no valid host")
    return name
