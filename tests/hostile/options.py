"""Options, ini keys, environment variables and markers that cannot work."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.plan import OptionsError, caller
from pytest_realtime_asr.plugin import markers
from pytest_realtime_asr.plugin.settings import SettingError, Settings, settings
from pytest_realtime_asr.requirements.known_failures import Expected, Known
from pytest_realtime_asr.verdicts.limits import parse_margins
from tests.hostile import Case, message

DEEP = "[" * 50_000
DIGITS = "9" * 5000
BYTES = os.fsdecode(b"\xff")  # as Python holds a byte that is not UTF-8


def made(
    given: Mapping[str, object],
    *,
    ini: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path(),
) -> Settings:
    """Return the settings of these options."""
    return settings(
        lambda option: given.get(option.name),
        lambda option: (ini or {}).get(option.name),
        environment or {},
        origin=folder,
    )


def told(
    given: Mapping[str, object],
    *,
    ini: Mapping[str, object] | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path = Path(),
) -> str:
    """Return the message that refuses these options."""
    return message(
        SettingError,
        lambda: made(given, ini=ini, environment=environment, folder=folder),
    )


def option(id: str, name: str, value: object, *says: str, within: float = 5) -> Case:
    """Return the row of a value on the command line."""
    return Case(
        id,
        f"the user gives {value!r:.60} as --realtime-{name}",
        (f"--realtime-{name}: ", *says),
        within,
        lambda folder: told({name: value}, folder=folder),
    )


def marker(id: str, mark: pytest.MarkDecorator, *says: str) -> Case:
    """Return the row of a marker."""
    return Case(
        id,
        f"the user gives the marker {mark.mark.name} invalid arguments",
        says,
        5,
        lambda folder: message(
            ValueError, lambda: markers.read([mark.mark], made({}), parallel=False)
        ),
    )


def fifo(folder: Path) -> Path:
    """Make a named pipe."""
    path = folder / "pipe.jsonl"
    os.mkfifo(path)
    return path


def locked(folder: Path) -> str:
    """Return the message on a client certificate whose key has a password."""
    issued = trustme.CA().issue_cert("host")
    key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
    written = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"hush"),
    )
    (folder / "key.pem").write_bytes(written)
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    return told({"client-cert": "cert.pem", "client-key": "key.pem"}, folder=folder)


def session(dialect: str, options: object) -> str:
    """Return the message that refuses these session options."""
    return message(
        OptionsError,
        lambda: caller(dialects.load(dialect), "model", options),  # type: ignore[arg-type]
    )


FINAL = "final_from_commit"
NUMBERS = (
    option("pace-without-a-number", "pace", "fast", "'fast'", "1.0 for real time"),
    option("pace-denormal", "pace", "1e-320", "from 0.001 to 1000"),
    option("pace-huge", "pace", "1e300", "from 0.001 to 1000"),
    option("pace-in-other-digits", "pace", "٣", "'٣'", "1.0 for real time"),
    option("pace-of-5000-digits", "pace", DIGITS, "from 0.001 to 1000"),
    option("timeout-zero", "timeout", "0", "0 is not a time", "from 0.001s"),
    option("timeout-huge", "timeout", "1e300", "is not a time", "to a week"),
    option("timeout-in-other-digits", "timeout", "٣", "'٣' is not a number"),
    option("wait-for-ever", "wait", "1e9", "is not a time", "to a week"),
    option("recover-for-ever", "recover", "99999999min", "longer than a week"),
    option("warmup-superscript", "warmup", "²", "'²' is neither auto nor a number"),
    option("warmup-in-other-digits", "warmup", "٣", "'٣' is neither auto nor"),
    option("warmup-a-billion", "warmup", "1000000000", "from 0 to 1000"),
    option("warmup-of-5000-digits", "warmup", DIGITS, "from 0 to 1000"),
    option("fuzz-of-5000-digits", "fuzz", DIGITS, "from 0 to 100000"),
    option("seed-of-5000-digits", "fuzz-seed", DIGITS, "from 0 to 4294967295"),
    option("streams-in-other-digits", "max-streams", "٣", "'٣' is not a whole number"),
    option("audio-without-end", "max-audio", "1e300", "is not a time"),
    option("confidence-denormal", "confidence", "1e-320", "is not a number from"),
    option("version-of-5000-digits", "server-version", DIGITS, "is not a version"),
    Case(
        "margin-of-5000-digits",
        "the user gives 5,000 digits as a margin",
        ("write at most 1000000",),
        5,
        lambda folder: message(
            ValueError, lambda: parse_margins(f"{FINAL}:{DIGITS}ms")
        ),
    ),
)
TEXTS = (
    option("options-too-deep", "session-options", DEEP, "nested too deeply"),
    option("options-not-a-number", "session-options", '{"a": NaN}', "not JSON"),
    option("options-half-a-sign", "session-options", r'{"a": "\ud800"}', "not JSON"),
    option(
        "options-of-5000-digits", "session-options", f'{{"a":{DIGITS}}}', "not JSON"
    ),
    option("fake-without-end", "fake", "'a " * 100_000, "longer than 65536 characters"),
    option("label-not-utf8", "label", [f"gpu={BYTES}"], "is not UTF-8"),
    option("label-with-an-escape", "label", ["gpu=\x1b[2J"], "is not a label"),
    option("corpus-not-utf8", "corpus", [f"/{BYTES}"], "is not UTF-8"),
    option("corpus-with-a-nul", "corpus", ["a\0b"], "NUL"),
    option("compare-with-a-nul", "compare", ["a\0b"], "NUL"),
    option("empty-target", "target", "", "the value is empty; give a value"),
    option("empty-model", "model", " ", "the value is empty"),
    option("empty-ca", "ca", "", "the value is empty"),
    option("empty-corpus", "corpus", [""], "the value is empty"),
    Case(
        "empty-target-in-the-ini-file",
        "the target in the ini file is empty",
        ("realtime_target in the ini file: the value is empty",),
        5,
        lambda folder: told({}, ini={"target": ""}),
    ),
    Case(
        "flag-that-is-no-flag",
        "the value of a flag in the environment is a word",
        ("the environment variable REALTIME_PLAN: 'maybe' is neither true nor false",),
        5,
        lambda folder: told({}, environment={"REALTIME_PLAN": "maybe"}),
    ),
    Case(
        "flag-in-the-ini-file",
        "the value of a flag in the ini file is a word",
        ("realtime_conformance in the ini file: 'x' is neither",),
        5,
        lambda folder: told({}, ini={"conformance": "x"}),
    ),
)
REFUSED = (
    option("ca-absent", "ca", "absent/ca.pem", "absent/ca.pem: there is no such file"),
    option("ca-a-folder", "ca", "/", "is a folder"),
    option(
        "client-cert-absent", "client-cert", "absent/a.pem", "there is no such file"
    ),
    option(
        "client-key-alone",
        "client-key",
        __file__,
        "this option needs --realtime-client-cert",
    ),
    Case(
        "ca-in-the-environment",
        "the environment names a certificate that does not exist",
        ("the environment variable REALTIME_CA: absent/ca.pem: there is no such file",),
        5,
        lambda folder: told({}, environment={"REALTIME_CA": "absent/ca.pem"}),
    ),
    Case(
        "client-key-with-a-password",
        "the key of the client's certificate has a password",
        ("--realtime-client-cert: cannot load", "the key without a password"),
        10,
        locked,
    ),
    option("proxy-of-another-kind", "proxy", "gopher://a:1", "http://HOST:PORT"),
    option("proxy-without-a-host", "proxy", "http://", "http://HOST:PORT"),
    option("proxy-without-a-scheme", "proxy", "a:1", "http://HOST:PORT"),
    option("server-name-with-a-blank", "server-name", "a b", "is not a host name"),
    option("server-name-a-url", "server-name", "https://a", "is not a host name"),
    option("server-name-too-long", "server-name", "a" * 64, "is not a host name"),
    option("target-without-a-port", "target", "gpu-7", "the target has no port"),
    option(
        "target-with-a-blank",
        "target",
        "http://a b:1",
        "a character that is not allowed in a URL",
    ),
    option(
        "target-with-a-line-break", "target", "http://a\n:1", "not allowed in a URL"
    ),
    option(
        "target-of-dots", "target", "http://a..b:1", "a..b is not a valid host name"
    ),
    option(
        "baseline-unreadable",
        "baseline-target",
        "ftp://a",
        "the scheme ftp:// is unknown",
    ),
    Case(
        "baseline-is-the-target",
        "the user compares a server with itself",
        ("--realtime-baseline-target: this server is the target itself",),
        5,
        lambda folder: told({"target": "http://a:1", "baseline-target": "a:1"}),
    ),
    option("corpus-absent", "corpus", ["nowhere.jsonl"], "there is no such file"),
    option("corpus-too-long", "corpus", ["/" + "a" * 5000], "File name too long"),
    option("compare-absent", "compare", ["nowhere.jsonl"], "there is no such file"),
    Case(
        "compare-a-pipe",
        "the report to compare with is a named pipe",
        ("--realtime-compare: ", "is a named pipe"),
        5,
        lambda folder: told({"compare": [str(fifo(folder))]}),
    ),
    Case(
        "type-of-the-update-vllm",
        "session options overwrite the type of the event",
        ("do not fit the dialect vllm", "type"),
        5,
        lambda folder: session("vllm", {"type": "x"}),
    ),
    Case(
        "type-of-the-session-openai",
        "session options overwrite the type of the session",
        ("do not fit the dialect openai", "type"),
        5,
        lambda folder: session("openai", {"type": "x"}),
    ),
    Case(
        "type-of-the-session-beta",
        "session options name a type in the beta shape",
        ("do not fit the dialect openai-beta", "type"),
        5,
        lambda folder: session("openai-beta", {"type": "x"}),
    ),
    Case(
        "session-options-a-list",
        "the fixture realtime_session_options returns a list",
        ("is not a mapping",),
        5,
        lambda folder: session("vllm", ["language"]),
    ),
    Case(
        "session-options-an-object",
        "the fixture realtime_session_options returns a value that is not JSON",
        ("not JSON", "object"),
        5,
        lambda folder: session("vllm", {"language": object()}),
    ),
    Case(
        "version-huge",
        "the server states a version of 5,000 digits",
        ("True",),
        5,
        lambda folder: str(
            Known("a", Expected.KNOWN, "", "", timedelta, "<1").applies_to(DIGITS, "")  # type: ignore[arg-type]
        ),
    ),
)
MARKERS = (
    marker("realtime-positional", pytest.mark.realtime(1), "no positional argument"),
    marker(
        "realtime-unknown",
        pytest.mark.realtime(speed=1),
        "realtime: the marker takes no speed",
    ),
    marker("realtime-model-none", pytest.mark.realtime(model=None), "not a name"),
    marker(
        "pace-not-a-number", pytest.mark.realtime(pace=float("nan")), "a pace of nan"
    ),
    marker("pace-of-400-digits", pytest.mark.realtime(pace=10**400), "from 0.001"),
    marker("pace-of-9000-digits", pytest.mark.realtime(pace=10**9000), "from 0.001"),
    marker("budget-bare", pytest.mark.latency_budget(), "write the marker as in"),
    marker("budget-of-9000-digits", pytest.mark.budget(10**9000), "no metric"),
    marker(
        "budget-exponent",
        pytest.mark.latency_budget(FINAL, p95="1e400ms"),
        "is not a duration",
    ),
    marker(
        "budget-of-5000-digits",
        pytest.mark.latency_budget(FINAL, p95=f"{DIGITS}ms"),
        "longer than a week",
    ),
    marker(
        "budget-endless",
        pytest.mark.latency_budget(FINAL, p95=timedelta.max),
        "longer than a week",
    ),
    marker(
        "budget-infinite",
        pytest.mark.budget("normalized_erasure", at_most=float("inf")),
        "the limit at_most=inf of normalized_erasure",
    ),
    marker(
        "budget-of-400-digits",
        pytest.mark.budget("normalized_erasure", at_most=10**400),
        "is not a number",
    ),
    marker("wer-nan", pytest.mark.wer_threshold(float("nan")), "nan is not a share"),
    marker(
        "wer-normaliser",
        pytest.mark.wer_threshold(0.1, normalizer=3),
        "normalizer=3 is neither",
    ),
)
CASES = (*NUMBERS, *TEXTS, *REFUSED, *MARKERS)
