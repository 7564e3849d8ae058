"""The target: the WebSocket URL of a server and the base URL of its HTTP routes."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote_plus, urlsplit

from pytest_realtime_asr.text.inputs import InputError

REPLAY = "replay:"  # the start of a target that replays the traces in a folder
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")  # of a host name
_KEY = re.compile("(key|token|secret|password|sig|signature)$|auth", re.IGNORECASE)


class TargetError(InputError):
    """A target that cannot be used; the message says why, and what to give instead."""


def replayed(text: str) -> str | None:
    """Return the folder that a target such as ``replay:traces`` replays, or ``None``.

    Raises `TargetError` if ``text`` names no folder.
    """
    if not text.startswith(REPLAY):
        return None
    if not (folder := text.removeprefix(REPLAY)):
        raise TargetError(
            f"{text!r} names no folder; write {REPLAY}DIR with a folder of traces; "
            "record traces with --realtime-traces=DIR --realtime-trace-keep=all"
        )
    return folder


@dataclass(frozen=True, slots=True)
class Target:
    """The address of a server.

    ``websocket`` is the URL at which sessions open. ``http`` is the base URL of the
    HTTP routes. ``path`` is the usual WebSocket path of the dialect; it is "" if the
    path is not known. ``query`` has the parameters that the dialect adds to the query
    of ``websocket``.
    """

    websocket: str = field(repr=False)
    http: str
    path: str = field(default="", compare=False)
    query: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The URL of a session: ``websocket`` with the parameters of ``query``.

        A parameter is not added if ``websocket`` already has it.
        """
        where, _, given = self.websocket.partition("?")
        named = {name for name, _ in parse_qsl(given, keep_blank_values=True)}
        added = (
            each
            for each in self.query.split("&")
            if unquote_plus(each.partition("=")[0]) not in named
        )
        asked = "&".join(filter(None, [given, *added]))
        return f"{where}?{asked}" if asked else where

    @property
    def shown(self) -> str:
        """The WebSocket URL without its query; a query may contain an API key."""
        return self.websocket.partition("?")[0]

    @property
    def origin(self) -> str:
        """The HTTP URL of the server without a path."""
        parts = urlsplit(self.http)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def has_usual_path(self) -> bool:
        """Whether sessions open at the usual path of the dialect."""
        return not self.path or urlsplit(self.websocket).path == self.path

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values of those query parameters whose names suggest a key or a token.

        Each value is listed as it is written. If it contains URL escapes, the decoded
        value is listed too.
        """
        query = self.websocket.partition("?")[2]
        pairs = (each.partition("=") for each in query.split("&"))
        return tuple(
            text
            for name, _, value in pairs
            if value and _KEY.search(unquote_plus(name))
            for text in dict.fromkeys((value, unquote_plus(value)))
        )

    @property
    def secure(self) -> bool:
        """Return whether the connection uses TLS."""
        return self.websocket.startswith("wss://")

    @property
    def loopback(self) -> bool:
        """Return whether the server has a loopback address."""
        host = urlsplit(self.websocket).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")


def is_host(text: str) -> bool:
    """Return whether a text is a host name or an IP address."""
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        labels = text.removesuffix(".").split(".")
    try:
        return all(_LABEL.fullmatch(each.encode("idna").decode()) for each in labels)
    except UnicodeError:  # for example a label that is too long
        return False


def parse(text: str, *, path: str, query: str = "") -> Target:
    """Return the target that ``text`` names.

    ``text`` is ``http(s)://host[:port][/v1]``, ``ws(s)://host[:port][/path]`` or
    ``host:port``. ``path`` is the WebSocket path of the dialect, such as
    ``/v1/realtime``. A WebSocket URL gets ``path`` only if it has no path. An HTTP URL
    that does not end with ``path`` loses a ``/v1`` at its end, and gets ``path``
    appended. ``host:port`` means ``http://host:port``. ``query`` becomes the ``query``
    of the target. Raises `TargetError`.
    """
    url = text.strip() if "://" in text else f"http://{text.strip()}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        why = str(error)
        if "://" not in text and text.count(":") > 1 and "[" not in text:
            why = "write an IPv6 address in brackets, such as [::1]:8000"
        raise _wrong(text, why) from error
    if parts.scheme not in _SCHEMES:
        raise _wrong(text, f"the scheme {parts.scheme}:// is unknown")
    if not parts.hostname:
        raise _wrong(text, "the target has no host")
    if "://" not in text and port is None:
        raise _wrong(text, "the target has no port")
    if port == 0:
        raise _wrong(text, "port 0 cannot be used")
    if not all("!" <= sign <= "~" for sign in url):
        raise _wrong(
            text,
            "the target contains a character that is not allowed in a URL; write this "
            "character as %XX, or a host name in its xn-- form",
        )
    if "@" in parts.netloc:
        raise _wrong(text, "the target contains a user or password")
    if not is_host(parts.hostname):
        raise _wrong(text, f"{parts.hostname} is not a valid host name")
    scheme = _SCHEMES[parts.scheme]
    given = parts.path.rstrip("/")
    if parts.scheme in ("ws", "wss"):
        route = given or path
    else:
        route = given if given.endswith(path) else given.removesuffix("/v1") + path
    prefix = route.removesuffix(path) if route.endswith(path) else ""
    given = parts.query and f"?{parts.query}"
    return Target(
        websocket=f"{scheme}://{parts.netloc}{route}{given}",
        http=f"{_http(parts)}://{parts.netloc}{prefix}",
        path=path,
        query=query,
    )


def _http(parts: SplitResult) -> str:
    return "https" if parts.scheme in ("https", "wss") else "http"


def _wrong(text: str, why: str) -> TargetError:
    if "@" in text:  # the text before the @ may be a password
        return TargetError(
            "a target must not contain a user or password; put the key into the "
            "environment variable REALTIME_API_KEY, or name another variable with "
            "--realtime-api-key-env"
        )
    return TargetError(
        f"cannot parse the target {text.partition('?')[0]!r}: {why}; valid targets are "
        "http://gpu-7:8000, ws://gpu-7:8000/v1/realtime, gpu-7:8000, fake or reference"
    )
