"""What the options of a run say, as one typed value."""

from __future__ import annotations

import base64
import re
import shlex
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from packaging.version import Version

from pytest_realtime_asr import corpus, dialects
from pytest_realtime_asr.client import target
from pytest_realtime_asr.plugin import options
from pytest_realtime_asr.plugin.options import (
    AUTO,
    FAKE_DIALECT,
    FAKE_KEY,
    FAKES,
    OPTIONS,
    Given,
    Option,
    flag,
)
from pytest_realtime_asr.requirements import known_failures, pinned_suites
from pytest_realtime_asr.requirements.known_failures import Known
from pytest_realtime_asr.requirements.pinned_suites import PinnedSuite
from pytest_realtime_asr.requirements.requirement import Harm, Level
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.verdicts import budget_file
from pytest_realtime_asr.verdicts.budgets import CONFIDENCE
from pytest_realtime_asr.verdicts.limits import Margin, parse_duration, parse_margins
from pytest_realtime_asr.verdicts.verdict import UndecidedPolicy

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


class SettingError(InputError):
    """An option that cannot be read: where it stands, what is wrong, what would do.

    ``always`` says that it stands in the environment, which all runs may share.
    """

    def __init__(self, message: str, *, always: bool = False) -> None:
        super().__init__(message)
        self.always = always


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
    undecided: UndecidedPolicy
    limits: Mapping[str, budget_file.Value]
    baseline: Path | None
    margins: tuple[Margin, ...]
    baseline_target: str
    labels: Mapping[str, str]
    parallel: bool
    reports: tuple[tuple[str, Path], ...]
    fake: tuple[str, ...]
    level: Level
    strict: bool
    suite: PinnedSuite | None
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
        """What no record and no report may hold.

        Of a header that tells who asks, each part by itself is one as well.
        """
        parts = [
            part
            for name, value in self.headers.items()
            if _TELLING.search(name)
            for part in _parts(value)
        ]
        return (self.key, *self.headers.values(), *parts)

    def tls(self) -> ssl.SSLContext:
        """The TLS context of the client side. Raises `SettingError`."""
        named = self.ca
        try:
            context = ssl.create_default_context(cafile=self.ca)
            if self.client_cert is not None:
                named = self.client_cert
                _show(context, self.client_cert, self.client_key)
        except (OSError, ssl.SSLError) as error:
            raise SettingError(
                f"cannot load the certificate {named}: {error}"
            ) from error
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


_TELLING = re.compile("auth|cookie|key|token|secret", re.IGNORECASE)


def _parts(value: str) -> list[str]:
    """Return the parts of a header's value, such as a token behind its scheme.

    What ``Basic`` encodes is one, and so is its password.
    """
    found = re.split(r"[\s;,]+|(?<==)(?!=)", value)
    scheme, _, code = value.partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            pair = base64.b64decode(code, validate=True).decode("latin-1")
            found += [pair, pair.partition(":")[2]]
    return found


def settings(
    command_line: Lookup,
    ini: Lookup,
    environment: Mapping[str, str],
    *,
    origin: Path = Path(),
) -> Settings:
    """Read every option by its precedence. Raises `SettingError`.

    ``command_line`` and ``ini`` give the raw value of an option, ``None`` where it was
    not given. Paths are taken from ``origin``.
    """
    texts: dict[str, object] = {}
    places: dict[str, Given] = {}
    for option in OPTIONS:
        found = options.first_given(
            option, command_line(option), ini(option), environment
        )
        places[option.name], texts[option.name] = found, found.value
        with _from(found):
            _check(found)

    def read(name: str, parse: Callable[[str], T]) -> T:
        with _from(places[name]):
            return parse(str(texts[name]))

    def maybe(name: str, parse: Callable[[str], T]) -> T | None:
        return read(name, parse) if texts[name] else None

    def file(name: str, check: Callable[[Path], object]) -> Path | None:
        def parse(text: str) -> Path:
            check(origin / text)
            return origin / text

        return maybe(name, parse)

    def each(name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        values = texts[name]
        assert isinstance(values, list | tuple)
        with _from(places[name]):
            return tuple(parse(str(value)) for value in values)

    def needs(name: str, *others: str) -> None:
        if texts[name] and not any(texts[other] for other in others):
            wanted = " or ".join(f"--realtime-{other}" for other in others)
            with _from(places[name]):
                raise ValueError(f"it needs {wanted}")

    needs("budget-profile", "budgets")
    needs("compare-fail", "compare", "baseline-target")
    needs("client-key", "client-cert")
    for option in OPTIONS:
        if option.flag:
            read(option.name, flag)
    client_key = file("client-key", inputs.regular)
    variable = str(texts["api-key-env"])
    # The text is not shown: it may be the key itself.
    if variable != "REALTIME_API_KEY" and not environment.get(variable):
        raise SettingError(
            f"{places['api-key-env'].place}: no environment variable of this name is "
            "set; give the name of the variable that holds the key, and not the key"
        )
    return Settings(
        target=read("target", _target),
        dialect=read(
            "profile",
            lambda words: _dialect(str(texts["dialect"]), words, str(texts["target"])),
        ),
        model=str(texts["model"]),
        session_options=read("session-options", inputs.json_object),
        wait=read("wait", _seconds),
        recover=read("recover", _seconds),
        timeout=read("timeout", lambda text: _seconds(text, least=0.001)),
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
        ca=file("ca", _authorities),
        client_cert=file("client-cert", lambda path: _own(path, client_key)),
        client_key=client_key,
        server_name=maybe("server-name", _host),
        insecure=read("insecure", flag),
        proxy=maybe("proxy", _proxy),
        corpus=each("corpus", lambda spec: _place(spec, origin))
        or ("bundled:english",),
        pace=read("pace", lambda text: pace(_number(text))),
        chunk=read("chunk", chunk),
        rules=read("rules", level),
        confidence=read("confidence", _confidence),
        undecided=read("undecided", _undecided),
        limits=read(
            "budgets",
            lambda text: (
                budget_file.read(origin / text, str(texts["budget-profile"]))
                if text
                else {}
            ),
        ),
        baseline=file("compare", inputs.regular),
        margins=read("compare-fail", lambda text: parse_margins(text) if text else ()),
        baseline_target=read(
            "baseline-target", lambda text: _baseline(text, str(texts["target"]))
        ),
        labels=dict(each("label", _label)),
        parallel=read("parallel", flag),
        reports=each("report", lambda text: _report(text, origin)),
        fake=tuple(read("fake", shlex.split)),
        level=read("level", _level),
        strict=read("strict", flag),
        suite=read("suite", lambda text: pinned_suites.load(text) if text else None),
        known=read(
            "known-failures",
            lambda text: known_failures.read(origin / text) if text else (),
        ),
        server_version=read("server-version", _version),
        allow=read("allow", _harms),
        max_audio=read("max-audio", _seconds),
        max_streams=maybe("max-streams", lambda text: inputs.whole(text, 1, 10_000)),
        fuzz=maybe("fuzz", lambda text: inputs.whole(text, 0, 100_000)),
    )


def _dialect(name: str, profile: str, target: str) -> str:
    """The dialect by its name and its profile, each of which may be left open."""
    if profile.strip():
        try:
            return dialects.with_profile(profile, of="" if name == AUTO else name)
        except LookupError as error:
            raise ValueError(error.args[0]) from None
    return FAKE_DIALECT if name == AUTO and target in FAKES else name


@contextmanager
def _from(given: Given) -> Iterator[None]:
    """Raise what is found wrong as a `SettingError`, which begins with the place."""
    try:
        yield
    except SettingError:
        raise
    except ValueError as error:
        raise SettingError(f"{given.place}: {error}", always=given.always) from error


def _check(given: Given) -> None:
    """Refuse texts that are empty on purpose, or that nothing can carry."""
    value = given.value
    found = value if isinstance(value, list | tuple) else [value]
    texts = [inputs.plain(str(each)) for each in found]
    if any(len(text) > _LARGEST for text in texts):
        raise ValueError(f"it is longer than {_LARGEST} characters; shorten it")
    if given.stated and not (texts and all(text.strip() for text in texts)):
        raise ValueError("it is empty; give a value, or leave it out")


def _target(text: str) -> str:
    if text and text not in FAKES:
        target.parse(text, path="")
    return text


def _baseline(text: str, other: str) -> str:
    """The baseline, which is another server than the target."""

    def named(text: str) -> str:
        return text if text in FAKES else target.parse(text, path="").websocket

    if text and other and named(text) == named(other):
        raise ValueError("it is the target itself; name another server")
    return _target(text)


def _proxy(text: str) -> str:
    """A proxy; the message does not show it, because it may hold a password."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and parts.port != 0
    except ValueError:  # of a port, or of brackets
        usable = False
    if not usable:
        raise ValueError(
            "it is no URL of a proxy; it should look like http://HOST:PORT"
        )
    return text


def _host(text: str) -> str:
    if not target.is_host(text):
        raise ValueError(f"{text!r} is no host name; it should look like gpu-7.local")
    return text


def _authorities(path: Path) -> None:
    """Refuse a file that holds no certificate."""
    inputs.regular(path)
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ValueError(
            f"cannot load the certificate {path}: {_told(error)}; give a file in PEM"
        ) from error


def _own(certificate: Path, key: Path | None) -> None:
    """Refuse a client's certificate that does not go with its key."""
    inputs.regular(certificate)
    try:
        _show(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key)
    except OSError as error:
        raise ValueError(
            f"cannot load the certificate {certificate} with its key "
            f"{key or certificate}: {_told(error)}; give both in PEM, the key without "
            "a password"
        ) from error


def _show(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    # An empty password, since OpenSSL would ask for one at the terminal.
    context.load_cert_chain(certificate, key, password="")


def _told(error: OSError) -> str:
    return error.strerror or str(error)


def chunk(value: str | timedelta) -> float:
    """The seconds of a chunk. Raises ValueError."""
    seconds = parse_duration(value) / 1e3
    if not 0.001 <= seconds <= 60:
        raise ValueError(f"a chunk of {value}; it should be between 1ms and 60s")
    return seconds


def pace(value: object) -> float:
    """A number as a pace. Raises ValueError."""
    if value == 0 or inputs.within(value, *_PACES):
        assert isinstance(value, int | float)
        return float(value)
    raise ValueError(
        f"a pace of {inputs.shown(value)}; 1.0 is real time, 0 is unpaced, and else it "
        f"is from {_PACES[0]} to {_PACES[1]}"
    )


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
        raise ValueError(f"{inputs.shown(value)}; there are must, should and off")
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
    if not isinstance(value, float) or not inputs.within(value, *CONFIDENCE):
        low, high = CONFIDENCE
        raise ValueError(f"{text!r} is not a share from {low} to {high}: write 0.95")
    return value


def _undecided(text: str) -> UndecidedPolicy:
    try:
        return UndecidedPolicy(text)
    except ValueError:
        raise ValueError(f"{text!r}; there are fail and warn") from None


def _label(text: str) -> tuple[str, str]:
    name, _, value = (part.strip() for part in text.partition("="))
    if not (name and value and text.isprintable()):
        raise ValueError(f"{text!r} is no label; it should look like gpu=H100")
    return name, value


def _version(text: str) -> str:
    try:
        return str(Version(text)) if text else ""
    except ValueError:  # not a version, or one of too many digits
        raise ValueError(f"{text!r} is no version; it looks like 0.33.0") from None


def _harms(text: str) -> frozenset[Harm]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    try:
        return frozenset(map(Harm, names))
    except ValueError:
        raise ValueError(
            f"{text!r}; there are heavy and disruptive, or both with a comma"
        ) from None


def _seconds(text: str, *, least: float = 0.0) -> float:
    """A time; a bare number is in seconds, as these options have it."""
    bare = not text.strip()[-1:].isalpha()
    seconds = inputs.number(text) if bare else parse_duration(text) / 1e3
    if not least <= seconds <= _LONGEST:
        raise ValueError(
            f"{text} is not a time; it should look like 30s, 500ms or 30, and be from "
            f"{least:g}s to a week"
        )
    return seconds


def _number(text: str) -> float | str:
    """The number that a text is, or the text."""
    try:
        return inputs.number(text)
    except InputError:
        return text


def _warmup(text: str) -> int | None:
    if text == "auto":
        return None
    try:
        return inputs.whole(text, 0, 1000)
    except InputError:
        raise ValueError(
            f"{text!r} is neither auto nor a number of sessions from 0 to 1000"
        ) from None


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
    found = spec if spec.startswith("bundled:") else str(origin / spec)
    corpus.check(found)
    return found


def _report(text: str, origin: Path) -> tuple[str, Path]:
    kind, separator, path = text.partition(":")
    if not separator:
        kind, path = Path(text).suffix.lstrip("."), text
    if kind not in KINDS:
        raise ValueError(f"{text!r} is of no known kind; there is: {', '.join(KINDS)}")
    return kind, origin / path


_LARGEST = 2**16  # characters of an option
_PACES = (0.001, 1000.0)
_LONGEST = 7 * 24 * 3600.0  # s
KINDS = ("jsonl", "conformance")
