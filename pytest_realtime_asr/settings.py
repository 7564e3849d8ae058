"""What the options of a run say, as one typed value."""

from __future__ import annotations

import json
import math
import re
import shlex
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from packaging.version import InvalidVersion, Version

from pytest_realtime_asr import comparison, dialects, frozen, known, limits
from pytest_realtime_asr.budgets import parse_duration
from pytest_realtime_asr.comparison import Margin
from pytest_realtime_asr.frozen import Suite
from pytest_realtime_asr.known import Known
from pytest_realtime_asr.options import (
    AUTO,
    FAKE_DIALECT,
    FAKE_KEY,
    FAKES,
    OPTIONS,
    Option,
    flag,
)
from pytest_realtime_asr.redaction import Redactor
from pytest_realtime_asr.rules import Harm, Level
from pytest_realtime_asr.verdicts import Undecided

_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)?", re.ASCII)
_UNITS = {
    **{"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9},
    **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
# What the handshake and the HTTP client set themselves: a second one breaks them.
_OURS = re.compile(
    "sec-websocket-.*|host|connection|upgrade|content-length|transfer-encoding|te|"
    "trailer|expect|keep-alive|proxy-connection",
    re.IGNORECASE,
)

T = TypeVar("T")
Lookup = Callable[[Option], object]


class SettingError(ValueError):
    """An option that cannot be read: where it stands, what is wrong, what would do."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run; times are in seconds.

    ``dialect`` is a name with its profile, or ``auto`` where the server is to be asked.

    ``max_streams`` and ``fuzz`` are ``None`` where they go by where the server is.

    ``warmup`` is the number of sessions, ``None`` for as many as it takes. ``rules`` is
    the weakest level that fails a test, ``None`` for none. ``key`` and the values of
    ``headers`` are secret, and the queries of the targets may be. ``limits`` are those
    that a marker may name; ``baseline`` is an earlier report, and by ``margins`` a test
    fails that got worse. ``confidence`` holds where a marker has none.
    """

    target: str
    dialect: str
    model: str
    session_options: Mapping[str, object]
    wait: float
    recover: float
    timeout: float
    max_message: int
    warmup: int | None
    key: str
    private: bool
    headers: Mapping[str, str]
    ca: Path | None
    client_cert: Path | None
    client_key: Path | None
    server_name: str | None
    insecure: bool
    proxy: str | None
    corpus: tuple[str, ...]
    pace: float
    chunk: float
    rules: Level | None
    confidence: float | None
    undecided: Undecided
    limits: Mapping[str, limits.Value]
    baseline: Path | None
    margins: tuple[Margin, ...]
    baseline_target: str
    labels: Mapping[str, str]
    parallel: bool
    reports: tuple[tuple[str, Path], ...]
    fake: tuple[str, ...]
    level: Level
    strict: bool
    suite: Suite | None
    known: tuple[Known, ...]
    server_version: str
    allow: frozenset[Harm]
    max_audio: float
    max_streams: int | None
    fuzz: int | None

    def __repr__(self) -> str:
        return f"Settings(dialect={self.dialect!r}, model={self.model!r}, ...)"

    @property
    def redactor(self) -> Redactor:
        """What knows the secrets of these settings, and whether texts are private."""
        return Redactor(self.secrets, private=self.private)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no record and no report may hold."""
        return (self.key, *self.headers.values())

    def tls(self) -> ssl.SSLContext:
        """The TLS context of the client side. Raises `SettingError`."""
        named = self.ca
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.client_cert is not None:
                named = self.client_cert
                context.load_cert_chain(self.client_cert, self.client_key)
        except (OSError, ssl.SSLError) as error:
            raise SettingError(
                f"cannot load the certificate {named}: {error}"
            ) from error
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def settings(
    command_line: Lookup,
    ini: Lookup,
    environment: Mapping[str, str],
    *,
    origin: Path = Path(),
) -> Settings:
    """Read every option by its precedence. Raises `SettingError`.

    ``command_line`` and ``ini`` give the raw value of an option, or a false one where
    it was not given. Paths are taken from ``origin``.
    """
    texts: dict[str, object] = {}
    places: dict[str, str] = {}
    for option in OPTIONS:
        given = environment.get(option.env, "")
        for place, value in (
            (option.cli, command_line(option)),
            (f"{option.ini} in the ini file", ini(option)),
            (f"the environment variable {option.env}", _split(option, given)),
            (option.cli, _split(option, option.default)),
        ):
            places[option.name], texts[option.name] = place, value
            if value:
                break

    def read(name: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(str(texts[name]))
        except ValueError as error:
            raise SettingError(f"{places[name]}: {error}") from error

    def many(name: str) -> tuple[str, ...]:
        values = texts[name]
        assert isinstance(values, list | tuple)
        return tuple(map(str, values))

    def path(name: str) -> Path | None:
        return origin / str(texts[name]) if texts[name] else None

    def each(name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        try:
            return tuple(map(parse, many(name)))
        except ValueError as error:
            raise SettingError(f"{places[name]}: {error}") from error

    def needs(name: str, *others: str) -> None:
        if texts[name] and not any(texts[other] for other in others):
            wanted = " or ".join(f"--realtime-{other}" for other in others)
            raise SettingError(f"{places[name]}: it needs {wanted}")

    needs("budget-profile", "budgets")
    needs("compare-fail", "compare", "baseline-target")
    variable = str(texts["api-key-env"])
    # The text is not shown: it may be the key itself.
    if variable != "REALTIME_API_KEY" and not environment.get(variable):
        raise SettingError(
            f"{places['api-key-env']}: no environment variable of this name is set; "
            "give the name of the variable that holds the key, and not the key"
        )
    return Settings(
        target=str(texts["target"]),
        dialect=read(
            "profile",
            lambda words: _dialect(str(texts["dialect"]), words, str(texts["target"])),
        ),
        model=str(texts["model"]),
        session_options=read("session-options", _object),
        wait=read("wait", _seconds),
        recover=read("recover", _seconds),
        timeout=read("timeout", _timeout),
        max_message=read("max-message", size),
        # The scripted recogniser has nothing that could warm up.
        warmup=read(
            "warmup",
            lambda text: (
                0 if text == "auto" and texts["target"] == "fake" else _warmup(text)
            ),
        ),
        key=_secret(variable, environment.get(variable, ""))
        or (FAKE_KEY if texts["target"] in FAKES else ""),
        private=read("private", flag),
        headers=dict(each("header", lambda text: _header(text, environment))),
        ca=path("ca"),
        client_cert=path("client-cert"),
        client_key=path("client-key"),
        server_name=str(texts["server-name"]) or None,
        insecure=read("insecure", flag),
        proxy=str(texts["proxy"]) or None,
        corpus=tuple(_place(spec, origin) for spec in many("corpus"))
        or ("bundled:english",),
        pace=read("pace", lambda text: pace(_number(text))),
        chunk=read("chunk", chunk),
        rules=read("rules", level),
        confidence=read("confidence", _confidence),
        undecided=read("undecided", _undecided),
        limits=read(
            "budgets",
            lambda text: (
                limits.read(origin / text, str(texts["budget-profile"])) if text else {}
            ),
        ),
        baseline=path("compare"),
        margins=read(
            "compare-fail", lambda text: comparison.parse(text) if text else ()
        ),
        baseline_target=str(texts["baseline-target"]),
        labels=dict(each("label", _label)),
        parallel=read("parallel", flag),
        reports=each("report", lambda text: _report(text, origin)),
        fake=tuple(read("fake", shlex.split)),
        level=read("level", _level),
        strict=read("strict", flag),
        suite=read("suite", lambda text: frozen.load(text) if text else None),
        known=read(
            "known-failures",
            lambda text: known.read(origin / text) if text else (),
        ),
        server_version=read("server-version", _version),
        allow=read("allow", _harms),
        max_audio=read("max-audio", _seconds),
        max_streams=read("max-streams", lambda text: _count(text, 1)),
        fuzz=read("fuzz", lambda text: _count(text, 0)),
    )


def _dialect(name: str, profile: str, target: str) -> str:
    """The dialect by its name and its profile, each of which may be left open."""
    if profile.strip():
        try:
            return dialects.with_profile(profile, of="" if name == AUTO else name)
        except LookupError as error:
            raise ValueError(error.args[0]) from None
    return FAKE_DIALECT if name == AUTO and target in FAKES else name


def _split(option: Option, text: str) -> object:
    if not option.many:
        return text
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def chunk(value: str | timedelta) -> float:
    """The seconds of a chunk. Raises ValueError."""
    seconds = parse_duration(value) / 1e3
    if not 0.001 <= seconds <= 60:
        raise ValueError(f"a chunk of {value}; it should be between 1ms and 60s")
    return seconds


def pace(value: object) -> float:
    """A number as a pace. Raises ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value)
        if 0 <= found < math.inf:
            return found
    raise ValueError(f"a pace of {value!r}; 1.0 is real time, 0 is unpaced")


def size(text: str) -> int:
    """The bytes of a message, such as ``4MiB``. Raises ValueError."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size; it should look like 4MiB or 500kB")
    count = round(float(found[1]) * _UNITS[found[2] or "B"])
    if not 2**10 <= count <= 2**30:
        raise ValueError(f"a size of {text}; it should be between 1KiB and 1GiB")
    return count


def level(value: object) -> Level | None:
    """The weakest level that fails a test, or none. Raises ValueError."""
    if value == "off":
        return None
    if value not in ("must", "should"):
        raise ValueError(f"{value!r}; there are must, should and off")
    return Level(value)


def _level(text: str) -> Level:
    try:
        return Level(text)
    except ValueError:
        raise ValueError(f"{text!r}; there are must, should and info") from None


def _confidence(text: str) -> float | None:
    if not text:
        return None
    value = _number(text)
    if not isinstance(value, float) or not 0 < value < 1:
        raise ValueError(f"{text!r} is not a share: write 0.95")
    return value


def _undecided(text: str) -> Undecided:
    try:
        return Undecided(text)
    except ValueError:
        raise ValueError(f"{text!r}; there are fail and warn") from None


def _label(text: str) -> tuple[str, str]:
    name, _, value = (part.strip() for part in text.partition("="))
    if not (name and value):
        raise ValueError(f"{text!r} is no label; it should look like gpu=H100")
    return name, value


def _version(text: str) -> str:
    try:
        return str(Version(text)) if text else ""
    except InvalidVersion:
        raise ValueError(f"{text!r} is no version; it looks like 0.33.0") from None


def _harms(text: str) -> frozenset[Harm]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return frozenset(map(Harm, names))
    except ValueError:
        raise ValueError(
            f"{text!r}; there are heavy and disruptive, or both with a comma"
        ) from None


def _count(text: str, least: int) -> int | None:
    if not text:
        return None
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f"{text!r} is not a number from {least}")
    return int(text)


def _seconds(text: str) -> float:
    """A time; a bare number is in seconds, as these options have it."""
    try:
        seconds = float(text)
    except ValueError:
        return parse_duration(text) / 1e3
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{text} is not a time; it should look like 30s, 500ms or 30")
    return seconds


def _timeout(text: str) -> float:
    seconds = _seconds(text)
    if seconds < 0.01:
        raise ValueError(f"a timeout of {text}; it should be at least 10ms")
    return seconds


def _number(text: str) -> float | str:
    """The number that a text is, or the text."""
    try:
        return float(text)
    except ValueError:
        return text


def _warmup(text: str) -> int | None:
    if text == "auto":
        return None
    if not text.isdecimal():
        raise ValueError(f"{text!r} is neither auto nor a number of sessions")
    return int(text)


def _object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ValueError('not a JSON object, such as {"language": "en"}')
    return value


def _header(text: str, environment: Mapping[str, str]) -> tuple[str, str]:
    name, _, variable = (part.strip() for part in text.partition("="))
    # Neither text is shown: whoever errs here may have written the secret itself.
    if not (name and variable):
        raise ValueError("a header should look like X-Token=MY_VARIABLE")
    if not _TOKEN.fullmatch(name):
        raise ValueError(
            "the name of a header holds a character that cannot be sent; it should "
            "look like X-Token=MY_VARIABLE"
        )
    if _OURS.fullmatch(name):
        raise ValueError(
            f"the header {name} is set by the connection itself; leave it out"
        )
    if variable not in environment:
        raise ValueError(
            f"the header {name} names an environment variable that is not set; "
            "it should look like X-Token=MY_VARIABLE"
        )
    return name, _secret(variable, environment[variable])


def _secret(variable: str, value: str) -> str:
    """A value that a header can carry; the message never shows it."""
    value = value.strip()
    if not all(sign.isprintable() and sign <= "\xff" for sign in value):
        raise SettingError(
            f"the environment variable {variable} holds a character that no header "
            "can carry, such as a line break"
        )
    return value


def _place(spec: str, origin: Path) -> str:
    return spec if spec.startswith("bundled:") else str(origin / spec)


def _report(text: str, origin: Path) -> tuple[str, Path]:
    kind, separator, path = text.partition(":")
    if not separator:
        kind, path = Path(text).suffix.lstrip("."), text
    if kind not in KINDS:
        raise ValueError(f"{text!r} is of no known kind; there is: {', '.join(KINDS)}")
    return kind, origin / path


KINDS = ("jsonl", "conformance")
