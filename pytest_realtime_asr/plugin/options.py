"""The options, markers and fixtures of the plugin, as data.

Every pytest run imports this module, so it is light. Each option is ``--realtime-NAME``
on the command line, ``realtime_NAME`` in the ini file and ``REALTIME_NAME`` in the
environment (dashes become underscores), in this order of precedence. Where an option
may be repeated, each line of the ini file or of the environment variable is one value.
`pytest_realtime_asr.plugin.settings` parses the texts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

COMMANDS = ("selftest", "calibrate", "list")  # the options that run no tests
FIXTURES = {"realtime", "realtime_session", "utterance", "corpus", "fake_server"}
SUITE = Path(__file__).parents[1] / "conformance"  # the folder of the packaged suite
SUITE_ID = "realtime_conformance"  # the ids of its tests begin with this
CALIBRATION = "realtime/calibration"  # the key in pytest's cache
MARKERS = {
    "latency_budget": (
        "(metric, *, p50=, p90=, p95=, p99=, max=, mean=, confidence=None, "
        "over=None): the upper limit of a latency, such as p95='800ms'; stackable"
    ),
    "budget": (
        "(metric, *, at_most=, at_least=, stat='mean', confidence=None, over=None): "
        "the upper or lower limit of a metric that is not a duration, such as "
        "at_most=0.2; stackable"
    ),
    "wer_threshold": (
        "(limit, *, normalizer=None, confidence=None): the upper limit of the word "
        "error rate, pooled over the sessions of the test, such as 0.12"
    ),
    "realtime_requirement": (
        "(*, id=, level=, scenario=): the requirement that a test of the packaged "
        "suite judges; set by the suite itself, for -m"
    ),
    "realtime": (
        "(*, dialect=, model=, pace=, chunk=, rules=): how the sessions of the test "
        "run, and the weakest violated requirement that fails it (must, should or off)"
    ),
}


class Option(NamedTuple):
    """An option of the plugin; ``default`` is a text, as a user would write it."""

    name: str
    help: str
    default: str = ""
    metavar: str = ""
    many: bool = False
    flag: bool = False

    @property
    def cli(self) -> str:
        """The name of the option on the command line."""
        return f"--realtime-{self.name}"

    @property
    def ini(self) -> str:
        """The name of the option in the ini file, and its key in pytest's options."""
        return f"realtime_{self.name}".replace("-", "_")

    @property
    def env(self) -> str:
        """The name of the option in the environment."""
        return self.ini.upper()


class Given(NamedTuple):
    """The value of an option in the place that sets it, and the name of that place.

    ``value`` is a text, or true for a flag on the command line, or a list of texts for
    an option that may be repeated. ``stated`` is false for the default.
    ``from_environment`` is true for a variable, which runs share that have nothing to
    do with this plugin.
    """

    value: object
    place: str
    stated: bool = True
    from_environment: bool = False


def first_given(
    option: Option, line: object, ini: object, environment: Mapping[str, str]
) -> Given:
    """Return the value from the first place that sets an option, else its default.

    ``line`` and ``ini`` are ``None`` where the command line and the ini file do not set
    it. An environment variable that is empty counts as not set.
    """
    if line is not None:
        return Given(line, option.cli)
    if ini is not None:
        return Given(ini, f"{option.ini} in the ini file")
    place = f"the environment variable {option.env}"
    text = environment.get(option.env, "")
    stated = bool(text.strip())
    if not stated:
        place, text = option.cli, option.default
    value: object = text
    if option.many:
        value = [line.strip() for line in text.splitlines() if line.strip()]
    return Given(value, place, stated, from_environment=stated)


def flag(text: str) -> bool:
    """Parse the text of a flag; an empty one is false. Raises ValueError."""
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    raise ValueError(f"{text!r} is neither true nor false")


class RawOptions:
    """The options of a run as pytest has read them, before they are parsed.

    ``wrong_environment`` says that what was found wrong is set in the environment.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.wrong_environment = False
        self._config = config

    def line(self, option: Option) -> object:
        """Return what the command line sets, else ``None``."""
        return self._config.getoption(option.ini)

    def ini(self, option: Option) -> object:
        """Return what the ini file sets, else ``None``. Raises UsageError."""
        try:
            return self._config.getini(option.ini)
        except (TypeError, ValueError) as error:  # such as a number in TOML
            raise pytest.UsageError(f"{option.ini} in the ini file: {error}") from None

    def given(self, name: str) -> Given:
        """Return the value of an option with its place. Raises UsageError."""
        option = BY_NAME[name]
        return first_given(option, self.line(option), self.ini(option), os.environ)

    def text(self, name: str) -> str:
        """Return what is set for an option, else an empty text.

        A flag with a wrong text in the environment counts as not set: a run that has
        nothing to do with this plugin must not end because of it. The header reports
        it, and a test that uses the plugin fails. Raises UsageError for other places.
        """
        found = self.given(name)
        if not found.stated:
            return ""
        if wrong := self.wrong_flag(name):
            if found.from_environment:
                return ""
            raise pytest.UsageError(wrong)
        return str(found.value or "")

    def flag(self, name: str) -> bool:
        """Return whether a flag is set. Raises UsageError."""
        return flag(self.text(name))

    def wrong_flag(self, name: str) -> str:
        """Return what is wrong with a flag, with its place, else an empty text."""
        found = self.given(name)
        try:
            if BY_NAME[name].flag:
                flag(str(found.value))
        except ValueError as error:
            return f"{found.place}: {error}"
        return ""

    def usage_error(self, name: str, error: object) -> pytest.UsageError:
        """Return an error about an option that names the place that sets it."""
        return pytest.UsageError(f"{self.given(name).place}: {error}")


OPTIONS = (
    Option(
        "target",
        "the server under test: http(s)://HOST:PORT, ws(s)://HOST:PORT/PATH, "
        "HOST:PORT, fake (scripted) or reference (a real recogniser)",
        metavar="URL",
    ),
    Option("conformance", "run the packaged suite against the target", flag=True),
    Option(
        "level",
        "the weakest level of the requirements to judge: must, should or info "
        "(default info: all)",
        "info",
        "LEVEL",
    ),
    Option(
        "strict",
        "fail a test of the suite whose SHOULD requirement is violated",
        flag=True,
    ),
    Option(
        "suite",
        "judge by this pinned suite of requirements (default: by the newest)",
        metavar="NAME",
    ),
    Option(
        "known-failures",
        "the requirements that the server is known to violate, in TOML: id, reason, "
        "issue, until",
        metavar="FILE",
    ),
    Option(
        "server-version",
        "the version by which the server is judged (default: the one that GET /version "
        "returns)",
        metavar="VERSION",
    ),
    Option(
        "allow",
        "the kinds of scenarios that may run against a server that is not on this "
        "machine: heavy, disruptive or both",
        metavar="HARM[,HARM]",
    ),
    Option(
        "max-audio",
        "the limit on the audio that the suite sends to a server that is not on this "
        "machine (default 10min)",
        "10min",
        "TIME",
    ),
    Option(
        "max-streams",
        "the largest number of concurrent streams of the suite (default 16 on this "
        "machine, else 2)",
        metavar="N",
    ),
    Option(
        "fuzz",
        "the number of random sessions (default 8 on this machine, else 0)",
        metavar="N",
    ),
    Option(
        "plan", "show what the suite would do and cost, and send nothing", flag=True
    ),
    Option(
        "list",
        "list the requirements, the dialects with their profiles, the metrics or the "
        "options, and exit",
        metavar="requirements|dialects|metrics|options",
    ),
    Option(
        "selftest",
        "test the suite itself on this machine, and exit: each requirement must pass a "
        "correct fake server and fail one with its fault",
        flag=True,
    ),
    Option(
        "calibrate",
        "measure the error of the times on this machine now, keep it in pytest's "
        "cache for the header and the reports, and exit",
        flag=True,
    ),
    Option(
        "dialect",
        "the protocol of the server (default auto: detected by its first message)",
        "auto",
        "auto|NAME",
    ),
    Option(
        "profile",
        "the kind of server, such as sglang; words after it change its capabilities, "
        'such as "sglang rates=16000"',
        metavar="NAME",
    ),
    Option("model", "the model (default: the first of GET /v1/models)", "", "NAME"),
    Option(
        "session-options",
        "additional fields for the set-up of each session",
        "{}",
        "JSON",
    ),
    Option(
        "wait",
        "the time to wait for a server that is still loading (default 0)",
        "0",
        "TIME",
    ),
    Option(
        "recover",
        "the time to wait for a crashed server to come back (once a run; default 60s)",
        "60s",
        "TIME",
    ),
    Option(
        "timeout",
        "the idle timeout of a session: the time without any event (default 30s)",
        "30s",
        "TIME",
    ),
    Option(
        "max-message",
        "the largest event, and the largest body of an HTTP response, that is read "
        "(default 1MiB)",
        "1MiB",
        "SIZE",
    ),
    Option(
        "warmup",
        "the number of warm-up sessions before the first test: auto, or a number "
        "(default auto)",
        "auto",
        "auto|N",
    ),
    Option(
        "api-key-env",
        "the environment variable that holds the API key (default REALTIME_API_KEY)",
        "REALTIME_API_KEY",
        "VARIABLE",
    ),
    Option(
        "private",
        "keep texts, audio and names of audio files out of reports, traces and "
        "messages; numbers and error counts stay",
        flag=True,
    ),
    Option(
        "header",
        "an additional header, with its value from the environment (repeatable)",
        metavar="NAME=VARIABLE",
        many=True,
    ),
    Option("ca", "trust the certificate authorities in this file", metavar="FILE"),
    Option("client-cert", "send this client certificate to the server", metavar="FILE"),
    Option("client-key", "the private key of the client certificate", metavar="FILE"),
    Option("server-name", "the name in the certificate of the server", metavar="HOST"),
    Option("insecure", "do not verify the certificate of the server", flag=True),
    Option(
        "proxy",
        "connect through this proxy (default: that of the environment; never on "
        "loopback)",
        metavar="URL",
    ),
    Option(
        "corpus",
        "the utterances to send: bundled:english, bundled:languages, bundled:odd, a "
        "manifest, a LibriSpeech tree or a folder with a .txt beside each file "
        "(repeatable)",
        metavar="NAME|PATH",
        many=True,
    ),
    Option(
        "pace", "seconds of audio sent per second; 0 is unpaced (default 1.0)", "1", "X"
    ),
    Option("chunk", "the length of each chunk of audio (default 100ms)", "100ms", "T"),
    Option(
        "rules",
        "the weakest violated requirement that fails a test: must, should or off "
        "(default must)",
        "must",
        "LEVEL",
    ),
    Option(
        "confidence",
        "the confidence with which every quantile and word error rate must be proven, "
        "such as 0.95 (default: the observed value is judged)",
        metavar="SHARE",
    ),
    Option(
        "undecided",
        "the outcome of a test that is INCONCLUSIVE or INVALID: fail or warn (default "
        "fail)",
        "fail",
        "fail|warn",
    ),
    Option(
        "budgets",
        'named limits, in TOML; a marker uses one as "$name"',
        metavar="FILE",
    ),
    Option(
        "budget-profile",
        "the table of that file whose limits apply, such as l4",
        metavar="NAME",
    ),
    Option(
        "compare",
        "compare each test with itself in this earlier report (PATH.jsonl)",
        metavar="FILE",
    ),
    Option(
        "compare-fail",
        "by how much a metric may get worse before its test fails, such as "
        "final_from_commit:20ms,wer:1pp",
        metavar="METRIC:LIMIT[,...]",
    ),
    Option(
        "baseline-target",
        "send each utterance to this server as well, alternately, and compare with it",
        metavar="URL",
    ),
    Option(
        "label",
        "a label of this run for its report, such as gpu=H100 (repeatable)",
        metavar="NAME=VALUE",
        many=True,
    ),
    Option(
        "parallel",
        "let xdist workers measure at the same time; no latency budget can be judged "
        "then",
        flag=True,
    ),
    Option(
        "report",
        "write a report: PATH.jsonl of the utterances, or conformance:PATH.json "
        "(repeatable)",
        metavar="[KIND:]PATH",
        many=True,
    ),
    Option(
        "fake",
        "options of the fake and the reference server, such as "
        '"--word-delay 300ms --final-delay 250ms"',
        metavar="OPTIONS",
    ),
)
BY_NAME = {option.name: option for option in OPTIONS}
