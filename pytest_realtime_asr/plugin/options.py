"""The options, markers and fixtures of the plugin, as data.

Every pytest run imports this module, so it imports little. Each option is
``--realtime-NAME`` on the command line, ``realtime_NAME`` in the ini file and
``REALTIME_NAME`` in the environment (dashes become underscores). The page of the
options in the documentation is generated from this module.
`pytest_realtime_asr.plugin.raw_options` has the values of a run.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

# Options that run a packaged test under load; the test has the same name.
LOAD_OPTIONS = ("capacity", "soak")
# Options that run a command, and no tests.
COMMANDS = ("selftest", "calibrate", "doctor", "list")
FIXTURES = {"realtime", "realtime_session", "utterance", "corpus", "fake_server"}
SUITE = Path(__file__).parents[1] / "conformance"  # the folder of the packaged suite
SUITE_ID = "realtime_conformance"  # the prefix of the ids of the suite's tests
STARTED = {"fake", "reference"}  # the targets that the plugin starts itself
CALIBRATION = "realtime/calibration"  # the key in pytest's cache
SERVER_OUTPUT = "server output"  # in the title of a section of a test
REST = "realtime_rest"  # the key of the rest of the output in what a worker sends
MARKERS = {
    "latency_budget": (
        "(metric, *, p50=, p90=, p95=, p99=, max=, mean=, confidence=None, "
        "over=None): the upper limit of a latency, such as p95='800ms'; a test may "
        "have several of these markers"
    ),
    "budget": (
        "(metric, *, at_most=, at_least=, stat='mean', confidence=None, over=None): "
        "the upper or lower limit of a metric that is not a duration, such as "
        "at_most=0.2; a test may have several of these markers"
    ),
    "wer_threshold": (
        "(limit, *, normalizer=None, confidence=None): the upper limit, such as 0.12, "
        "of the word error rate, which is computed from all sessions of the test "
        "together"
    ),
    "keyword_recall": (
        "(keywords, *, at_least=, normalizer=None, confidence=None): the share of "
        "these names, numbers and terms that the server must at least recognise, over "
        "all sessions of the test together, such as (['Anna', '41729'], at_least=0.95)"
    ),
    "capacity": (
        "(*, at_least=): the number of streams that realtime.capacity must prove, such "
        "as at_least=40; if there are several of these markers, the largest number "
        "counts"
    ),
    "realtime_requirement": (
        "(*, id=, level=, scenario=): the requirement that a test of the packaged "
        "suite judges; the suite sets this marker itself, so that -m can select tests"
    ),
    "realtime": (
        "(*, dialect=, model=, pace=, chunk=, rules=): the settings of the sessions of "
        "the test; with rules='must', a violated MUST requirement fails the test; with "
        "'should', a violated SHOULD requirement fails it too; with 'off', neither "
        "does"
    ),
}


class Option(NamedTuple):
    """An option of the plugin; ``default`` is written as a user writes a value.

    ``many`` says whether the option may be repeated. ``flag`` says whether it is given
    without a value on the command line. ``guide`` is the page of the guide that
    explains the option, such as "noise.md", or a section of this page; it is empty if
    there is none.
    """

    name: str
    help: str
    default: str = ""
    metavar: str = ""
    many: bool = False
    flag: bool = False
    guide: str = ""

    @property
    def cli(self) -> str:
        """The name of the option on the command line."""
        return f"--realtime-{self.name}"

    @property
    def ini(self) -> str:
        """The name of the option in the ini file and in pytest's own option store."""
        return f"realtime_{self.name}".replace("-", "_")

    @property
    def env(self) -> str:
        """The name of the environment variable that sets the option."""
        return self.ini.upper()


class Group(NamedTuple):
    """The options of one subject: a group of ``--help`` and a section of the docs.

    ``about`` says in Markdown what holds for all options of the group.
    """

    title: str
    options: tuple[Option, ...]
    about: str = ""


def is_load(item: pytest.Item) -> bool:
    """Return whether a test is a packaged test under load."""
    return is_suite(item) and item.name in {f"test_{name}" for name in LOAD_OPTIONS}


def is_suite(item: pytest.Item) -> bool:
    """Return whether a test belongs to the packaged suite."""
    return item.nodeid.startswith(f"{SUITE_ID}/")


_SERVER = (
    Option(
        "target",
        "the server under test: http(s)://HOST:PORT, ws(s)://HOST:PORT/PATH, "
        "HOST:PORT, fake (a scripted server), reference (a real recogniser) or "
        "replay:DIR (the recorded sessions in a folder of traces)",
        metavar="URL",
    ),
    Option(
        "dialect",
        "the protocol of the server (default auto: detected from the server's first "
        "message)",
        "auto",
        "auto|NAME",
        guide="servers.md#dialects",
    ),
    Option(
        "profile",
        "the kind of server, such as sglang; changes to its capabilities may follow "
        'the name, as in "sglang rates=16000"',
        metavar="NAME",
        guide="servers.md#profiles",
    ),
    Option(
        "model",
        "the model to use (default: the first model in the list of GET /v1/models with "
        "which a session can be set up)",
        "",
        "NAME",
        guide="servers.md#models-and-servers-that-are-slow-to-start",
    ),
    Option(
        "session-options",
        "additional fields for the configuration of each session, such as "
        '{"turn_detection": "server_vad"}',
        "{}",
        "JSON",
        guide="servers.md#session-options",
    ),
    Option(
        "corpus",
        "the utterances to send: bundled:english, bundled:languages, bundled:odd, a "
        "NeMo manifest, a Common Voice table, a metadata.csv, a Kaldi folder, a "
        "LibriSpeech tree or a folder with a .txt file for each audio file (default: "
        "bundled:english) (repeatable)",
        metavar="NAME|PATH",
        many=True,
        guide="recordings.md",
    ),
    Option(
        "language",
        "the language of the utterances that state none, such as de, en-US or German "
        "(default: the language of the text's writing system, if only one language "
        "uses this system; otherwise unknown)",
        metavar="LANGUAGE",
        guide="wer.md#the-language",
    ),
    Option(
        "perturb",
        "the changes that are made to the audio of each utterance before it is sent, "
        "such as noise:10dB or telephone,packet-loss:5%:seed=2; other changes are "
        "babble, clipping, dither, gain, lead-silence, reverberation and speed "
        "(repeatable)",
        metavar="NAME[:AMOUNT][,...]",
        many=True,
        guide="noise.md#for-a-whole-run",
    ),
    Option(
        "pace",
        "the seconds of audio to send per second, from 0.001 to 1000; 0 means as fast "
        "as possible (default 1.0)",
        "1",
        "X",
    ),
    Option("chunk", "the length of each chunk of audio (default 100ms)", "100ms", "T"),
    Option(
        "warmup",
        "the number of warm-up sessions, which run before the first test and whose "
        "times are not counted; auto runs as many as the server needs (default auto)",
        "auto",
        "auto|N",
    ),
    Option(
        "wait",
        "the longest time to wait for a server that is still loading; the time limits "
        "of its first session are at least this long (default 0)",
        "0",
        "TIME",
        guide="servers.md#models-and-servers-that-are-slow-to-start",
    ),
    Option(
        "recover",
        "the longest time to wait for a crashed server before the next test, scenario "
        "or utterance starts; if the server does not come back in this time, the run "
        "does not wait again (default 60s)",
        "60s",
        "TIME",
    ),
    Option(
        "timeout",
        "the idle timeout: the time without any event after which a session ends, also "
        "in the warm-up; an utterance may take the length of its audio plus twice the "
        "idle timeout, or plus 60s if that is longer (default 30s)",
        "30s",
        "TIME",
    ),
    Option(
        "max-message",
        "the largest size of an event, or of the body of an HTTP response, that the "
        "client accepts; an event or body over this size exceeds the client's limit, "
        "and is not a violation by the server (default 1MiB)",
        "1MiB",
        "SIZE",
    ),
    Option(
        "replay-timing",
        "the delay of the answers of a target replay:DIR; with the value recorded, "
        "each answer has the delay of its recording, and with the value none, it is "
        "sent at once (default recorded)",
        "recorded",
        "recorded|none",
        guide="replay.md",
    ),
    Option(
        "replay-max-age",
        "the age from which the recordings of a target replay:DIR cause a warning, "
        "since the server may have changed (default 30d)",
        "30d",
        "TIME",
        guide="replay.md",
    ),
)
_ACCESS = (
    Option(
        "api-key-env",
        "the environment variable that holds the API key (default REALTIME_API_KEY)",
        "REALTIME_API_KEY",
        "VARIABLE",
    ),
    Option(
        "api-key-command",
        "a command that prints the API key, such as 'vault read -field=key asr'; it is "
        "run again, at most once a minute, when the server refuses the key",
        metavar="COMMAND",
        guide="servers.md#keys-that-expire",
    ),
    Option(
        "header",
        "send the header NAME with the value of the environment variable VARIABLE "
        "(repeatable)",
        metavar="NAME=VARIABLE",
        many=True,
        guide="servers.md#connections",
    ),
    Option("ca", "trust the certificate authorities in this file", metavar="FILE"),
    Option("client-cert", "send this client certificate to the server", metavar="FILE"),
    Option("client-key", "the private key of the client certificate", metavar="FILE"),
    Option(
        "server-name",
        "the host name to expect in the server's certificate",
        metavar="HOST",
    ),
    Option("insecure", "do not verify the certificate of the server", flag=True),
    Option(
        "proxy",
        "connect through this proxy (default: the proxy that the environment variables "
        "name); a server at a loopback address is always reached directly",
        metavar="URL",
        guide="servers.md#connections",
    ),
)
_VERDICTS = (
    Option(
        "rules",
        "the requirements whose violation fails a test; the value must selects MUST "
        "only, should selects MUST and SHOULD, and off selects none (default must)",
        "must",
        "LEVEL",
    ),
    Option(
        "confidence",
        "the confidence, such as 0.95, with which every quantile and word error rate "
        "must be proven (default: none, so the observed value itself is compared with "
        "the limit)",
        metavar="SHARE",
        guide="budgets.md#proof",
    ),
    Option(
        "undecided",
        "the effect of an INCONCLUSIVE or INVALID verdict: fail the test, only warn, "
        "or skip the test (default fail)",
        "fail",
        "fail|warn|skip",
        guide="budgets.md#verdicts",
    ),
    Option(
        "budget",
        'limits of this run, such as "final_from_commit p95 <= 800ms, wer <= 12%", for '
        "each metric that no marker limits; if the command line has this option, but "
        "no path and no --realtime-conformance, pytest runs only the spoken corpus "
        "(repeatable)",
        metavar="LIMIT[,...]",
        many=True,
        guide="budgets.md#limits-without-a-test-file",
    ),
    Option(
        "budgets",
        'a TOML file of named limits; a marker uses the limit NAME as "$NAME"',
        metavar="FILE",
        guide="budgets.md#limits-that-differ-by-machine",
    ),
    Option(
        "budget-profile",
        "the name of a table, such as l4, in the file of --realtime-budgets; the "
        "limits in this table are used",
        metavar="NAME",
        guide="budgets.md#limits-that-differ-by-machine",
    ),
    Option(
        "compare",
        "compare the results of each test with those of the same test in this earlier "
        "report (PATH.jsonl), or with the median of several reports (nights/*.jsonl); "
        "the HTML page then shows the trend over these reports (repeatable)",
        metavar="FILE",
        many=True,
        guide="comparison.md#with-an-earlier-run",
    ),
    Option(
        "compare-fail",
        "the amount by which a metric may get worse in a comparison before the test "
        "fails (default final_from_commit:10%,wer:1pp); with the value none, the "
        "comparison is shown but fails no test",
        "final_from_commit:10%,wer:1pp",
        "METRIC:LIMIT[,...]|none",
        guide="comparison.md",
    ),
    Option(
        "baseline-target",
        "send each utterance also to this server, alternately with the target, and "
        "compare the two servers",
        metavar="URL",
        guide="comparison.md#with-another-server",
    ),
    Option(
        "parallel",
        "let xdist workers run sessions at the same time; latency budgets cannot be "
        "judged in such a run",
        flag=True,
    ),
)
_LOAD = (
    Option(
        "capacity",
        "run a packaged test that searches for the largest number of streams for which "
        'these limits hold, such as "final_from_commit p95 <= 800ms, wer <= 12%" '
        "(repeatable)",
        metavar="LIMIT[,...]",
        many=True,
        guide="capacity.md#search-for-the-capacity-without-test-code",
    ),
    Option(
        "capacity-between",
        "the smallest and the largest number of streams that --realtime-capacity "
        "tries, separated by a comma (default 1,500)",
        "1,500",
        "LOW,HIGH",
    ),
    Option(
        "capacity-hold",
        "the time for which each level of the search is held (default 60s)",
        "60s",
        "TIME",
    ),
    Option(
        "capacity-confirm",
        "the length of the confirmation, a last level that repeats the number of "
        "streams that the search has found (default 5min)",
        "5min",
        "TIME",
    ),
    Option(
        "capacity-max-time",
        "the longest time that the whole search may take; a result that is not proven "
        "within this time is INCONCLUSIVE (default 30min)",
        "30min",
        "TIME",
    ),
    Option(
        "soak",
        "run the packaged soak test for this time, such as 1h; during the test, "
        "sessions come and go, and the latency, losses, memory and open sessions of "
        "the server must not grow",
        metavar="TIME",
        guide="capacity.md#keep-it-up-for-an-hour-and-stop-it",
    ),
    Option(
        "load-errors",
        "the share of lost sessions above which a level of load is aborted, also in "
        "tests of your own (default 20%)",
        "20%",
        "SHARE",
    ),
    Option(
        "load-executor",
        "the place where a load runs: processes (at most one process for each core), "
        "processes:N (at most N processes) or dask:ADDRESS (the scheduler of a Dask "
        "cluster, such as dask:tcp://HOST:8786); dask:ADDRESS needs the extra dask, "
        "and the same version of this plugin on each worker (default processes)",
        "processes",
        "PLACE",
        guide="capacity.md#more-load-than-one-process-sends",
    ),
    Option(
        "metrics-url",
        "the URL of the server's own metrics in Prometheus's text format; a load test "
        "reads them each second if pytest-realtime-asr[load] is installed; the API key "
        "is sent only to the host and port of the target (default: /metrics of the "
        "target)",
        metavar="URL",
        guide="capacity.md#see-the-servers-own-figures",
    ),
    Option(
        "metrics-name",
        "read the figure NAME of a load test from the server's own metric METRIC, such "
        "as waiting=my_queue_length; NAME is running or waiting (numbers of requests), "
        "kv_cache (the used share), sessions (those that are open), all_sessions "
        "(those that were opened so far) or memory (in bytes); samples that differ "
        "only in their labels are added up, but for kv_cache the largest sample counts "
        "(default: the names that the dialect states) (repeatable)",
        metavar="NAME=METRIC",
        many=True,
        guide="capacity.md#see-the-servers-own-figures",
    ),
)
_CONFORMANCE = (
    Option(
        "conformance",
        "run the packaged suite against the target",
        flag=True,
        guide="suite.md",
    ),
    Option(
        "plan",
        "show what the suite would do and what it would cost, and send nothing",
        flag=True,
        guide="suite.md#what-it-costs",
    ),
    Option(
        "level",
        "the requirements that the suite judges; the value must selects MUST only, "
        "should selects MUST and SHOULD, and info selects all (default info)",
        "info",
        "LEVEL",
    ),
    Option(
        "strict",
        "in the suite, let a violated SHOULD requirement fail its test, as a violated "
        "MUST requirement does",
        flag=True,
    ),
    Option(
        "keep-going",
        "continue the suite even after the first utterance has failed, or after "
        "sessions have waited for finals that did not come",
        flag=True,
    ),
    Option(
        "suite",
        "judge the server by this pinned suite (default: by the newest requirements)",
        metavar="NAME",
        guide="suite.md",
    ),
    Option(
        "known-failures",
        "a TOML file of the requirements that the server is known to violate, each "
        "with id, reason, issue and until",
        metavar="FILE",
        guide="suite.md#known-failures",
    ),
    Option(
        "server-version",
        "the version of the server; the suite judges the requirements of this version "
        "(default: the version that GET /version returns)",
        metavar="VERSION",
    ),
    Option(
        "allow",
        "the harm that may be done to a server that is not on this machine; heavy "
        "allows a load test, a flood, and scenarios with four or more sessions; "
        "disruptive allows load beyond the capacity that was found, and scenarios that "
        "have crashed servers; both may be given",
        metavar="HARM[,HARM]",
        guide="suite.md#what-it-costs",
    ),
    Option(
        "max-audio",
        "the largest length of audio that the whole run may send; the suite, tests of "
        "your own, the warm-up and the baseline server count together (default: 10min "
        "for the scenarios of the suite on a server that is not on this machine; a "
        "load test of such a server has no default and needs this option)",
        "",
        "TIME",
        guide="suite.md#what-it-costs",
    ),
    Option(
        "max-streams",
        "the largest number of sessions that the suite opens at the same time (default "
        "16 for a server on this machine, otherwise 2)",
        metavar="N",
    ),
    Option(
        "fuzz",
        "the number of random sessions that the suite runs (default 8 for a server on "
        "this machine, otherwise 0)",
        metavar="N",
        guide="suite.md#random-sessions",
    ),
    Option(
        "fuzz-seed",
        "the seed of the random sessions, so that two runs of the suite send the same "
        "frames (default 1); with the value random, each run draws a new seed and "
        "reports it with a failure",
        "1",
        "N|random",
        guide="suite.md#random-sessions",
    ),
)
_REPORTS = (
    Option(
        "report",
        "write a report: PATH.jsonl or PATH.csv with a line for each utterance, "
        "PATH.html as one page to read in a browser, PATH.md as a summary in Markdown, "
        "benchmark:PATH.json for github-action-benchmark, PATH.prom as OpenMetrics, or "
        "conformance:PATH.json with the results of the suite (repeatable)",
        metavar="[KIND:]PATH",
        many=True,
        guide="reports.md",
    ),
    Option(
        "junit",
        "the content of the file of --junitxml; full has all measurements; lean has "
        "what was judged; strict is valid against the schema of xunit2, and has the "
        "properties of each test as JSON in system-out (default full; the default of "
        "the next release is lean)",
        "full",
        "lean|full|strict",
        guide="reports.md#junit-xml",
    ),
    Option(
        "traces",
        "the folder for traces (default: realtime-traces beside the reports; without a "
        "report, pytest's cache)",
        metavar="DIR",
        guide="reports.md#traces",
    ),
    Option(
        "trace-keep",
        "the sessions whose traces are kept; the value failed selects the sessions of "
        "tests that fail, and the value all selects every session of every test "
        "(default failed)",
        "failed",
        "failed|all",
        guide="reports.md#traces",
    ),
    Option(
        "utterances",
        "at the end of the run, list for each test the utterances that have word "
        "errors, and show the errors and the aligned texts; the other utterances are "
        "only counted",
        flag=True,
    ),
    Option(
        "label",
        "a label of this run, such as gpu=H100, for the report (repeatable)",
        metavar="NAME=VALUE",
        many=True,
    ),
    Option(
        "private",
        "leave texts, audio and names of audio files out of reports, traces and "
        "messages; numbers and error counts are still written",
        flag=True,
        guide="reports.md#private-audio",
    ),
)
_INSTEAD = (
    Option(
        "list",
        "list the requirements, the dialects with their profiles, the metrics, the "
        "options or the faults of the fake server, and exit",
        metavar="requirements|dialects|metrics|options|faults",
    ),
    Option(
        "selftest",
        "test the suite itself on this machine, and exit: each check must pass on a "
        "correct fake server, and fail on a fake server with the matching fault",
        flag=True,
    ),
    Option(
        "doctor",
        "show what is known about the server, its models, the corpus and this machine, "
        "send no audio to the server, and exit; the exit code is 1 if tests cannot run",
        flag=True,
        guide="first-steps.md#look-before-you-test",
    ),
    Option(
        "calibrate",
        "measure how far the client's own times are off on this machine, keep the "
        "result in pytest's cache for the header and the reports, and exit",
        flag=True,
        guide="budgets.md#the-clients-own-errors",
    ),
    Option(
        "fake",
        "options for the server that --realtime-target=fake or "
        "--realtime-target=reference starts, such as "
        '"--word-delay 300ms --final-delay 250ms"',
        metavar="OPTIONS",
        guide="fake-server.md#for-a-whole-run",
    ),
)
GROUPS = (
    Group("server and session", _SERVER),
    Group("access", _ACCESS),
    Group("verdicts", _VERDICTS),
    Group("load and capacity", _LOAD),
    Group("conformance suite", _CONFORMANCE),
    Group("reports", _REPORTS),
    Group(
        "commands and the fake server",
        _INSTEAD,
        "The first four options run no tests. `python -m pytest_realtime_asr list`, "
        "`selftest`, `doctor` and `calibrate` do the same.",
    ),
)
OPTIONS = tuple(option for group in GROUPS for option in group.options)
BY_NAME = {option.name: option for option in OPTIONS}
