"""Parses the value of an option, or of an argument of a marker, into a typed value.

Each function raises ValueError, whose message says what was expected. The caller adds
the name of the option or of the marker to this message.
"""

from __future__ import annotations

import glob
import re
import shlex
import ssl
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from packaging.version import Version

from pytest_realtime_asr import corpus
from pytest_realtime_asr.client import target as targets
from pytest_realtime_asr.corpus import language as languages
from pytest_realtime_asr.fake.config import Timing
from pytest_realtime_asr.load import server_metrics
from pytest_realtime_asr.load.arguments import MOST_STREAMS
from pytest_realtime_asr.load.decision import Held
from pytest_realtime_asr.load.server_metrics import Gauge
from pytest_realtime_asr.perturb import chain
from pytest_realtime_asr.plugin.kept_traces import Keep
from pytest_realtime_asr.report.junit import Detail
from pytest_realtime_asr.requirements.requirement import Harm, Level
from pytest_realtime_asr.run.config import load_client_certificate
from pytest_realtime_asr.run.fakes import FAKES, is_started
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.verdicts import budget_file
from pytest_realtime_asr.verdicts.budgets import CONFIDENCE
from pytest_realtime_asr.verdicts.limits import Margin, parse_duration, parse_margins
from pytest_realtime_asr.verdicts.run_limits import EXAMPLE, RunLimits, run_limits
from pytest_realtime_asr.verdicts.verdict import UndecidedPolicy

REPORTS = ("jsonl", "csv", "html", "md", "prom", "benchmark", "conformance")
_SIZE = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(B|kB|KB|MB|GB|KiB|MiB|GiB)?", re.ASCII)
_UNITS = {
    **{"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9},
    **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30},
}
_SIGNS = frozenset("<>=≤≥")  # a list of limits has one of these
_FILE_NAME = re.compile(r".*/.*|[^\s,]*\.(toml|json|txt|ini|yaml)", re.IGNORECASE)
_METRIC = re.compile(r"[a-z_:][a-z0-9_:]*", re.IGNORECASE | re.ASCII)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
# The handshake and the HTTP client set these headers; setting one twice breaks them.
_RESERVED = re.compile(
    "sec-websocket-.*|host|connection|upgrade|content-length|transfer-encoding|te|"
    "trailer|expect|keep-alive|proxy-connection",
    re.IGNORECASE,
)
_PACES = (0.001, 1000.0)
_LONGEST = 7 * 24 * 3600.0  # in seconds
_LARGEST_SEED = 2**32 - 1


# Servers


def target(text: str) -> str:
    """Check a target and return it: a URL, or the name of a server to start."""
    if text and targets.replayed(text) is None and text not in FAKES:
        targets.parse(text, path="")
    return text


def other_target(text: str, first: str) -> str:
    """Check a target and return it; it must not be the same server as ``first``."""

    def named(text: str) -> str:
        return text if is_started(text) else targets.parse(text, path="").websocket

    if text and first and named(text) == named(first):
        raise ValueError("this server is the target itself; name another server")
    return target(text)


def replay_timing(text: str) -> Timing:
    """Parse the timing of a replay.

    A replay sends each answer after its recorded delay, or sends it at once.
    """
    try:
        return Timing(text.strip().lower())
    except ValueError:
        names = " or ".join(each.value for each in Timing)
        raise ValueError(f"{text!r} is no timing; write {names}") from None


def age(text: str) -> float:
    """Return an age such as ``30d`` or ``12h`` in seconds."""
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if unit == "d":
        try:
            return 86400 * inputs.whole(number, 1, 100_000)
        except ValueError as error:
            raise ValueError(f"{text!r} is no number of days: {error}") from error
    return seconds(text)


def host(text: str) -> str:
    """Check the name of a host and return it."""
    if not targets.is_host(text):
        raise ValueError(f"{text!r} is not a host name; write one such as gpu-7.local")
    return text


def proxy(text: str) -> str:
    """Check the URL of a proxy and return it.

    The message does not quote the URL, which may contain a password.
    """
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and parts.port != 0
    except ValueError:  # the port or the brackets are wrong
        usable = False
    if not usable:
        raise ValueError(
            "the value is not the URL of a proxy; write one such as http://HOST:PORT"
        )
    return text


def metrics_url(text: str) -> str:
    """Check the URL of a server's metrics and return it.

    A URL without a path gets the path ``/metrics``. No message quotes the URL, which
    may contain a password.
    """
    _check_metrics_library()
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and parts.port != 0
        usable = usable and targets.is_host(parts.hostname or "")
        usable = usable and all("!" <= sign <= "~" for sign in text)
    except ValueError:  # the port or the brackets are wrong
        usable = False
    if not usable or "@" in text or "?" in text or "#" in text:
        raise ValueError(
            "the value is not the URL of metrics; write one such as "
            "http://HOST:PORT/metrics, without a user, a password or a query"
        )
    return text if parts.path.strip("/") else f"{text.rstrip('/')}/metrics"


def metrics_name(text: str) -> tuple[Gauge, str]:
    """Parse ``NAME=METRIC``, as in ``waiting=my_queue_length``, and return both parts.

    ``NAME`` is this package's name of a metric, and ``METRIC`` is the server's name of
    the same metric.
    """
    _check_metrics_library()
    name, _, metric = (part.strip() for part in text.partition("="))
    if name not in list(Gauge):
        raise ValueError(
            f"{name!r} is not a metric of a load test; choose from {', '.join(Gauge)}, "
            "and write the option as in waiting=my_queue_length"
        )
    if not _METRIC.fullmatch(metric):
        raise ValueError(
            f"{metric!r} is not a metric in Prometheus's text format; write its name "
            "without labels, as in waiting=my_queue_length"
        )
    return Gauge(name), metric


def _check_metrics_library() -> None:
    if not server_metrics.is_installed():
        raise ValueError(server_metrics.MISSING)


def command(text: str) -> tuple[str, ...]:
    """Split a command, quoted as in a shell, into its words."""
    try:
        words = tuple(shlex.split(text))
    except ValueError as error:  # the message does not quote the command
        raise ValueError(f"{error}; quote the words as in a shell") from None
    if text and not words:
        raise ValueError("the command has no words; write one such as 'get-key asr'")
    return words


def version(text: str) -> str:
    """Parse the version of a server and return it in its normal form."""
    try:
        return str(Version(text)) if text else ""
    except ValueError:  # not a version, or a version of too many digits
        raise ValueError(
            f"{text!r} is not a version; write one such as 0.33.0"
        ) from None


def warmup(text: str) -> int | None:
    """Parse a number of warm-up sessions; ``None`` means as many as are needed."""
    if text == "auto":
        return None
    try:
        return inputs.whole(text, 0, 1000)
    except InputError:
        raise ValueError(
            f"{text!r} is neither auto nor a number of sessions from 0 to 1000"
        ) from None


def fuzz_seed(text: str) -> int | None:
    """Parse the seed of the random sessions; ``None`` means a new seed in each run."""
    if text == "random":
        return None
    try:
        return inputs.whole(text, 0, _LARGEST_SEED)
    except InputError:
        raise ValueError(
            f"{text!r} is neither random nor a seed from 0 to {_LARGEST_SEED}"
        ) from None


def header(text: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """Parse ``NAME=VARIABLE`` into the header's name and the value of the variable.

    No message quotes the option's value, since a user may have written the secret in
    place of the variable.
    """
    name, _, variable = (part.strip() for part in text.partition("="))
    if not (name and variable):
        raise ValueError(
            "the name of the header or of its variable is missing; write both, as in "
            "X-Token=MY_VARIABLE"
        )
    if not _TOKEN.fullmatch(name):
        raise ValueError(
            "the name of the header contains a character that cannot be sent; write "
            "the option as in X-Token=MY_VARIABLE"
        )
    if _RESERVED.fullmatch(name):
        raise ValueError(
            f"the header {name} is set by the connection itself; omit this option"
        )
    if variable not in environment:
        raise ValueError(
            f"the environment variable for the header {name} is not set; set it, or "
            "name another variable, as in X-Token=MY_VARIABLE"
        )
    return name, secret(variable, environment[variable])


def secret(variable: str, value: str) -> str:
    """Check the value of an environment variable; the value is sent in a header.

    Returns the value without leading and trailing blanks. No message quotes the value.
    """
    value = value.strip()
    if not all(sign.isprintable() and sign <= "\xff" for sign in value):
        raise ValueError(
            f"the environment variable {variable} contains a character that cannot be "
            "sent in a header, such as a line break; remove this character"
        )
    return value


# TLS


def check_authorities(path: Path) -> None:
    """Raise ValueError if a file has no certificates of certificate authorities."""
    inputs.regular(path)
    try:
        ssl.create_default_context(cafile=path)
    except OSError as error:
        raise ValueError(
            f"cannot load the certificates in {path}: {_why(error)}; give a file in "
            "PEM format"
        ) from error


def check_certificate(certificate: Path, key: Path | None) -> None:
    """Check that a client certificate matches its key. Raises ValueError."""
    inputs.regular(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        load_client_certificate(context, certificate, key)
    except OSError as error:
        raise ValueError(
            f"cannot load the certificate {certificate} with its key "
            f"{key or certificate}: {_why(error)}; give both in PEM format, and the "
            "key without a password"
        ) from error


def _why(error: OSError) -> str:
    return error.strerror or str(error)


# Numbers and times


def chunk(value: str | timedelta) -> float:
    """Convert the length of a chunk to seconds, and check it."""
    found = parse_duration(value) / 1e3
    if not 0.001 <= found <= 60:
        raise ValueError(
            f"a chunk of {value} cannot be used; give a length from 1ms to 60s"
        )
    return found


def pace(value: object) -> float:
    """Check a pace and return it, in seconds of audio per second."""
    if value == 0 or inputs.within(value, *_PACES):
        assert isinstance(value, int | float)
        return float(value)
    raise ValueError(
        f"a pace of {inputs.shown(value)} cannot be used; give 0 (as fast as "
        f"possible), or a number from {_PACES[0]} to {_PACES[1]}, such as 1.0 for real "
        "time"
    )


def pace_text(text: str) -> float:
    """Parse a pace, such as ``1.0``, and return it in seconds of audio per second."""
    return pace(_number(text))


def size(text: str) -> int:
    """Convert the size of a message, such as ``4MiB``, to bytes."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size; write one such as 4MiB or 500kB")
    count = round(float(found[1]) * _UNITS[found[2] or "B"])
    if not 2**10 <= count <= 2**30:
        raise ValueError(
            f"a size of {text} cannot be used; give a size from 1KiB to 1GiB"
        )
    return count


def seconds(text: str, *, least: float = 0.0) -> float:
    """Convert a time to seconds; a number without a unit is in seconds."""
    bare = not text.strip()[-1:].isalpha()
    found = inputs.number(text) if bare else parse_duration(text) / 1e3
    if not least <= found <= _LONGEST:
        raise ValueError(
            f"{text} is not a time from {least:g}s to a week; write one such as 30s, "
            "500ms or 30"
        )
    return found


def share(text: str) -> float:
    """Convert a share, such as ``20%`` or ``0.2``, to a number from 0 to 1."""
    percent = text.strip().endswith("%")
    try:
        found = inputs.number(text.strip().removesuffix("%"))
    except InputError:
        found = -1.0
    value = found / 100 if percent else found
    if not 0 <= value <= 1:
        raise ValueError(f"{text!r} is not a share; write one such as 20% or 0.2")
    return value


def between(text: str) -> tuple[int, int]:
    """Parse ``LOW,HIGH``, two numbers of streams, and return both."""
    low, _, high = text.partition(",")
    try:
        least = inputs.whole(low, 1, MOST_STREAMS)
        return least, inputs.whole(high, least, MOST_STREAMS)
    except InputError:
        raise ValueError(
            f"{text!r} is not a range within 1 to {MOST_STREAMS} streams; write the "
            "lowest and the highest number with a comma between them, as in 1,500 for "
            "1 to 500"
        ) from None


def confidence(text: str) -> float:
    """Convert a confidence, such as ``"0.95"``, to a number."""
    value = _number(text)
    if not isinstance(value, float) or not inputs.within(value, *CONFIDENCE):
        low, high = CONFIDENCE
        raise ValueError(
            f"{text!r} is not a number from {low} to {high}; write one such as 0.95"
        )
    return value


def _number(text: str) -> float | str:
    """Convert a text to a number; if it is not a number, return the text."""
    try:
        return inputs.number(text)
    except InputError:
        return text


# Limits


def limits(texts: Iterable[str], origin: Path) -> RunLimits:
    """Parse lists of limits, such as ``final_from_commit p95 <= 1s, wer <= 12%``.

    Raises ValueError also if one of the ``texts`` is the name of a file.
    """
    texts = tuple(texts)
    for text in texts:
        named = _FILE_NAME.fullmatch(text.strip()) or _is_file(origin / text)
        if named and not _SIGNS.intersection(text):
            raise ValueError(
                f"{text!r} is the name of a file; write --realtime-budgets={text} for "
                f"a file of named limits, or write a limit here, such as {EXAMPLE}"
            )
    return run_limits(texts)


def capacity(texts: Iterable[str], origin: Path) -> RunLimits:
    """Return the limits of a capacity search, from lists such as ``wer <= 12%``.

    Raises ValueError also for a limit that a capacity search cannot judge.
    """
    found = limits(texts, origin)
    if found:
        Held(found.budgets, found.thresholds).check()
    return found


def named_limits(text: str, origin: Path, profile: str) -> dict[str, budget_file.Value]:
    """Return the limits in the file that ``text`` names.

    The table ``profile`` of the file has the limits of one kind of machine. They
    replace general limits of the same names. Raises ValueError also if ``text`` is a
    list of limits instead of the name of a file.
    """
    if _SIGNS.intersection(text) and not _is_file(origin / text):
        raise ValueError(
            f"{text!r} is not the name of a file; to write limits on the command line, "
            "use --realtime-budget"
        )
    return budget_file.read(origin / text, profile)


def margins(text: str) -> tuple[Margin, ...]:
    """Return the margins of a comparison; the text ``none`` gives no margins."""
    return () if text.strip() == "none" else parse_margins(text)


def earlier_reports(text: str, origin: Path, own: Collection[Path]) -> list[Path]:
    """Return the files of earlier reports that a path or a pattern names.

    ``own`` are the reports that this run writes; a pattern never matches them.
    """
    path = origin / text
    if _is_file(path) or not glob.has_magic(text):
        inputs.regular(path)
        return [path]
    found = map(Path, sorted(glob.glob(str(path), recursive=True)))
    written = {each.resolve() for each in own}
    files = [each for each in found if each.resolve() not in written]
    if not files:
        raise ValueError(
            f"no file matches {text!r}; to make the first report, use "
            "--realtime-report=FILE without this option"
        )
    for each in files:
        inputs.regular(each)
    return files


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # the path is too long or contains a NUL
        return False


# Words


def level(value: object) -> Level | None:
    """Return the weakest level at which a violated requirement fails a test.

    Returns ``None`` for ``off``: then no violated requirement fails a test.
    """
    if value == "off":
        return None
    if value not in ("must", "should"):
        raise ValueError(
            f"{inputs.shown(value)} is not a level; choose from must, should and off"
        )
    return Level(value)


def suite_level(text: str) -> Level:
    """Return the weakest level of the requirements that the packaged suite judges."""
    try:
        return Level(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a level; choose from must, should and info"
        ) from None


def undecided(text: str) -> UndecidedPolicy:
    """Parse the policy for INCONCLUSIVE and INVALID verdicts: fail, warn or skip."""
    try:
        return UndecidedPolicy(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not an outcome; choose from fail, warn and skip"
        ) from None


def harms(text: str) -> frozenset[Harm]:
    """Return the kinds of harm that are allowed, from names separated by commas."""
    return frozenset(_harm(name) for each in text.split(",") if (name := each.strip()))


def _harm(name: str) -> Harm:
    try:
        return Harm(name)
    except ValueError:
        raise ValueError(
            f"{name!r} is not a kind of harm; choose heavy or disruptive, or "
            "write both as heavy,disruptive"
        ) from None


def label(text: str) -> tuple[str, str]:
    """Parse ``NAME=VALUE`` and return the name and the value."""
    name, _, value = (part.strip() for part in text.partition("="))
    if not (name and value and text.isprintable()):
        raise ValueError(f"{text!r} is not a label; write one such as gpu=H100")
    return name, value


# Corpora and reports


def corpus_place(text: str, origin: Path) -> str:
    """Check a corpus; return its name, or its path joined to ``origin``."""
    found = text if text.startswith("bundled:") else str(origin / text)
    corpus.check(found)
    return found


def language(text: str) -> str:
    """Return the canonical tag of a language, from its tag or its English name."""
    found = languages.parse(text)
    if text and not found:
        raise ValueError(f"{text!r} is no language; write a tag such as de or en-US")
    return found


def perturbation(text: str) -> str:
    """Check a chain of perturbations and return it."""
    chain.parse(text)
    return text


def junit(text: str) -> Detail:
    """Parse the detail of a JUnit XML file: ``lean``, ``full`` or ``strict``."""
    try:
        return Detail(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not known; choose the content of JUnit XML from "
            f"{', '.join(Detail)}"
        ) from None


def keep(text: str) -> Keep:
    """Parse the choice of tests whose traces are kept: ``failed`` or ``all``."""
    try:
        return Keep(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not known; write {' or '.join(Keep)} to say which traces are "
            "kept"
        ) from None


def report(text: str, origin: Path) -> tuple[str, Path]:
    """Parse ``[KIND:]PATH`` and return the kind of a report and its path.

    A missing kind is taken from the extension of the file. A relative path is joined
    to ``origin``.
    """
    kind, separator, path = text.partition(":")
    if not separator:
        kind, path = Path(text).suffix.lstrip("."), text
    if kind not in REPORTS:
        raise ValueError(
            f"{text!r} names no known kind of report; write PATH.jsonl, PATH.csv, "
            "PATH.html, PATH.md or PATH.prom, or write KIND:PATH; the kinds are jsonl, "
            "csv, html, md, prom, benchmark and conformance"
        )
    if kind == "benchmark" and Path(path).suffix != ".json":
        # The values of which bigger ones are better are in a second file beside it.
        raise ValueError(f"{text!r}: write the name of a file that ends with .json")
    return kind, origin / path
