"""The screen of the command ``doctor``: one line for each thing that was examined."""

from __future__ import annotations

import platform
import ssl
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

from pytest_realtime_asr.client.contact import PINGS, Contact
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.corpus.collection import EXAMINED
from pytest_realtime_asr.report.layout import USUAL, wrapped
from pytest_realtime_asr.run.calibration import Calibration
from pytest_realtime_asr.run.config import ServerConfig
from pytest_realtime_asr.run.diagnosis import Diagnosis
from pytest_realtime_asr.run.fakes import FAKE_KEY
from pytest_realtime_asr.text.name_list import first_names
from pytest_realtime_asr.text.number_format import ms, several

_LABEL = 14  # columns of the mark and the name of a line
_PACKAGES = ("pytest-realtime-asr", "pytest", "pytest-asyncio", "websockets", "numpy")


@dataclass(frozen=True, slots=True)
class Examined:
    """Everything that the command ``doctor`` has examined.

    ``corpus`` is an error message if the corpus cannot be loaded. ``calibration`` is an
    error message if the calibration failed. ``variable`` is the name of the environment
    variable that holds the API key. ``command`` is a shell command that runs the
    packaged suite with the same options.
    """

    server: Diagnosis
    config: ServerConfig
    variable: str
    corpus: Corpus | str
    calibration: Calibration | str
    command: str

    @property
    def testable(self) -> bool:
        """Return whether tests can run with this server and this corpus."""
        return self.server.testable and isinstance(self.corpus, Corpus)


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    text: str
    wrong: bool = False


def screen(examined: Examined, *, width: int = USUAL) -> list[str]:
    """Return the lines of the screen; a ``!`` marks what prevents tests."""
    found = []
    for line in _lines(examined):
        mark, indent = "!" if line.wrong else " ", " " * _LABEL
        first = f"{f'{mark} {line.name}':{_LABEL}}"
        for text in line.text.splitlines():
            found += wrapped(text.strip(), width, first=first, then=indent)
            first = indent
    return found


def _lines(examined: Examined) -> Iterator[_Line]:
    server = examined.server
    yield _Line("target", f"{server.target.shown}, HTTP routes at {server.target.http}")
    yield _Line("TLS", _tls(server, examined.config))
    yield _Line("key", _key(examined))
    if isinstance(server.health, Unreachable):
        yield _Line("health", str(server.health), wrong=True)
    else:
        yield _Line("health", f"the server answered in {ms(server.health)} ms")
        yield from _session(server)
    yield _corpus(examined.corpus)
    yield _Line("clock", _clock(examined.calibration))
    yield _Line("versions", _versions())
    if examined.testable:
        yield _Line("result", f"tests can run; next: {examined.command}")
    else:
        yield _Line("result", "tests cannot run: see the lines with !", wrong=True)


def _session(server: Diagnosis) -> Iterator[_Line]:
    """Yield the lines about a server that answers HTTP requests."""
    if isinstance(server.dialect, Unreachable):
        yield _Line("first event", str(server.dialect), wrong=True)
    elif isinstance(server.contact, Unreachable):
        yield _Line("first event", str(server.contact), wrong=True)
    elif server.contact is not None:
        after = f"{ms(server.contact.waited)} ms after the start of the connection"
        none = "none, and this dialect needs none"
        yield _Line("first event", f"{server.first}, {after}" if server.first else none)
    if isinstance(server.dialect, str):
        how = f" ({server.found})" if server.found else ""
        named = f", version {server.version}" if server.version else ""
        yield _Line("dialect", f"{server.dialect}{how}{named}")
    yield _models(server)
    if isinstance(server.contact, Contact):
        yield _Line("round trip", _round_trip(server.contact))


def _models(server: Diagnosis) -> _Line:
    """Return the line about the models; the server need not have a list of models."""
    if isinstance(server.model, Unreachable):
        return _Line("models", str(server.model), wrong=True)
    used = "" if server.model is None else f"; sessions use {server.model}"
    if isinstance(server.models, tuple):
        count = several(len(server.models), "model")
        listed = f"the server lists {count}: {first_names(server.models)}"
        if server.model is not None and server.model not in server.models:
            used += ", which is not one of them"
        return _Line("models", listed + used)
    why = server.models
    if server.model is None and why is not None and why.status is not None:
        # The step before has failed too, and its line says what to do.
        return _Line("models", f"GET /v1/models: HTTP {why.status}", wrong=True)
    return _Line("models", f"{why}{used}", wrong=server.model is None)


def _round_trip(contact: Contact) -> str:
    trips = contact.round_trips
    if not trips:
        return (
            f"the server answered none of {PINGS} pings, so it is not known how much "
            "of a latency the network causes"
        )
    return (
        f"{ms(statistics.median(trips))} ms (median of {several(len(trips), 'ping')}, "
        f"{ms(min(trips))} to {ms(max(trips))} ms)"
    )


def _tls(server: Diagnosis, config: ServerConfig) -> str:
    if not server.target.secure:
        return "none: the target is http or ws, so the connection is not encrypted"
    if not isinstance(server.contact, Contact) or server.contact.encryption is None:
        return "not known, since there is no connection"
    found = server.contact.encryption
    if config.tls.insecure:
        return f"{found.version}; the certificate is not verified (--realtime-insecure)"
    until = str(found.certificate.get("notAfter", ""))
    if not until:
        return f"{found.version}, certificate verified"
    days = (ssl.cert_time_to_seconds(until) - time.time()) / 86400
    return (
        f"{found.version}, certificate verified, valid until {until} (for "
        f"{several(int(days), 'more day')})"
    )


def _key(examined: Examined) -> str:
    variable, config = examined.variable, examined.config
    names = ", ".join(config.headers)
    more = f"; --realtime-header sends {names}" if names else ""
    if config.key == FAKE_KEY:
        return f"the key of the fake server{more}"
    if config.key:
        return f"found in the environment variable {variable}{more}"
    return (
        f"none: the environment variable {variable} is not set; set it if the server "
        f"needs a key{more}"
    )


def _corpus(corpus: Corpus | str) -> _Line:
    if isinstance(corpus, str):
        return _Line("corpus", corpus, wrong=True)
    seconds = sum(each.duration for each in corpus)
    languages = Counter(each.language for each in corpus)
    named = ", ".join(
        f"{name or 'not stated'} ({several(count, 'utterance')})"
        for name, count in languages.most_common()
    )
    if "" in languages:
        named += "; state it with --realtime-language"
    length = f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
    text = f"{corpus.name}: {several(len(corpus), 'clip')}, {length}"
    text += f"; language: {named}"
    if seconds > EXAMINED:
        text += (
            f" (the audio after the first {EXAMINED / 60:g} min is not read until a "
            "test uses it)"
        )
    return _Line("corpus", "\n".join([text, *corpus.notes]))


def _clock(calibration: Calibration | str) -> str:
    if isinstance(calibration, str):
        return calibration
    worst = calibration.worst
    error = calibration.errors[worst]
    return (
        f"latencies on this machine are exact to {abs(error.bias) + error.spread:.0f} "
        f"ms now; the least exact metric is {worst} (bias {error.bias:+.1f} ms, spread "
        f"{error.spread:.1f} ms, {several(error.n, 'session')} with a fake server)"
    )


def _versions() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"{packages}; Python {platform.python_version()}, {platform.platform()}"
