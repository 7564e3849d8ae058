"""The options and the settings that are parsed from them."""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from datetime import date
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import pytest
import trustme

from pytest_realtime_asr.conformance.config import CapacityConfig
from pytest_realtime_asr.fake.config import Timing
from pytest_realtime_asr.load import server_metrics
from pytest_realtime_asr.load.executors import Place
from pytest_realtime_asr.load.server_metrics import Gauge
from pytest_realtime_asr.plugin.kept_traces import Keep
from pytest_realtime_asr.plugin.options import COMMANDS, OPTIONS, STARTED, Option
from pytest_realtime_asr.plugin.parsing import REPORTS
from pytest_realtime_asr.plugin.settings import SettingError, Settings, settings
from pytest_realtime_asr.report.junit import Detail
from pytest_realtime_asr.requirements import pinned_suites
from pytest_realtime_asr.requirements.known_failures import Expected, Known
from pytest_realtime_asr.requirements.pinned_suites import PinnedSuite
from pytest_realtime_asr.requirements.requirement import Harm, Level
from pytest_realtime_asr.run.config import ServerConfig
from pytest_realtime_asr.run.fakes import FAKE_KEY, FAKES
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.verdicts.run_limits import NO_LIMITS, run_limits
from pytest_realtime_asr.verdicts.verdict import UndecidedPolicy

BY_NAME = {option.name: option for option in OPTIONS}
Given = Mapping[str, object]
SECRETS = {"TOKEN_A": "hush-a", "TOKEN_B": "hush-b", "TOKEN_C": "hush-c"}


def made(
    line: Given | None = None,
    ini: Given | None = None,
    environment: Mapping[str, str] | None = None,
) -> Settings:
    """Return the settings for these raw values, given by the name of the option."""
    return settings(
        lambda option: (line or {}).get(option.name),
        lambda option: (ini or {}).get(option.name),
        environment or {},
    )


def server(
    line: Given | None = None,
    ini: Given | None = None,
    environment: Mapping[str, str] | None = None,
) -> ServerConfig:
    """Return the configuration of the server for these raw values."""
    return made(line, ini, environment).run.server


# The options as data


def test_an_option_has_the_same_name_in_its_three_places() -> None:
    option = BY_NAME["api-key-env"]
    assert option.cli == "--realtime-api-key-env"
    assert option.ini == "realtime_api_key_env"
    assert option.env == "REALTIME_API_KEY_ENV"


def test_the_started_targets_are_those_with_a_recogniser() -> None:
    assert FAKES.keys() == STARTED


def test_the_names_are_all_different_and_each_has_its_help() -> None:
    assert len(BY_NAME) == len(OPTIONS)
    assert all(option.help for option in OPTIONS)
    assert not any(option.many and option.flag for option in OPTIONS)


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_help_names_the_default(option: Option) -> None:
    if option.default not in ("", "{}"):
        assert f"default {option.default}".removesuffix(".0") in option.help


# Precedence


class Case(NamedTuple):
    """A field, its default, and three raw values, each with its parsed value."""

    field: str
    default: object
    values: tuple[tuple[str, object], tuple[str, object], tuple[str, object]]

    def of(self, found: Settings) -> object:
        """Return the value of the field."""
        return attrgetter(self.field)(found)


def texts(field: str, default: str | None) -> Case:
    return Case(field, default, (("one", "one"), ("two", "two"), ("a: b", "a: b")))


def servers(field: str) -> Case:
    return Case(field, "", (("a:1", "a:1"), ("fake", "fake"), ("ws://b", "ws://b")))


def times(field: str, default: float) -> Case:
    return Case(field, default, (("1.5", 1.5), ("250ms", 0.25), ("2s", 2.0)))


def flags(field: str) -> Case:
    return Case(field, False, (("yes", True), ("off", False), ("1", True)))


CASES = {
    "replay-timing": Case(
        "replay.timing",
        Timing.RECORDED,
        (("none", Timing.NONE), (" Recorded ", Timing.RECORDED), ("NONE", Timing.NONE)),
    ),
    "replay-max-age": Case(
        "replay.max_age",
        30 * 86400.0,
        (("1d", 86400.0), (" 12h ", 12 * 3600.0), ("90", 90.0)),
    ),
    "target": servers("target"),
    "dialect": texts("run.session.dialect", "auto"),
    "profile": Case(
        "run.session.dialect",
        "auto",
        (
            ("sglang", "openai:sglang"),
            (" riva  rates=8000 ", "openai-beta:riva rates=8000"),
            ("azure", "openai:azure"),
        ),
    ),
    "model": texts("run.session.model", ""),
    "session-options": Case(
        "run.session.options",
        {},
        (('{"a":1}', {"a": 1}), ("{}", {}), ('{"b":[]}', {"b": []})),
    ),
    "wait": times("run.server.wait", 0.0),
    "recover": times("run.server.recover", 60.0),
    "timeout": times("run.session.timeout", 30.0),
    "max-message": Case(
        "run.server.max_message",
        2**20,
        (("2048", 2048), ("4MiB", 4 * 2**20), (" 1.5 kB", 1500)),
    ),
    "warmup": Case("run.server.warmup", None, (("3", 3), ("auto", None), ("0", 0))),
    "server-name": Case(
        "run.server.tls.server_name",
        None,
        (("gpu-7", "gpu-7"), ("a.b.", "a.b."), ("10.0.0.1", "10.0.0.1")),
    ),
    "insecure": flags("run.server.tls.insecure"),
    "private": flags("run.private"),
    "utterances": flags("utterances"),
    "junit": Case(
        "junit",
        Detail.FULL,
        (("lean", Detail.LEAN), ("full", Detail.FULL), ("strict", Detail.STRICT)),
    ),
    "traces": Case(
        "traces",
        None,
        (("a", Path("a")), ("out/b", Path("out/b")), ("/tmp/c", Path("/tmp/c"))),
    ),
    "trace-keep": Case(
        "keep",
        Keep.FAILED,
        (("all", Keep.ALL), ("failed", Keep.FAILED), ("all", Keep.ALL)),
    ),
    "proxy": Case(
        "run.server.proxy",
        None,
        (
            ("http://a:1", "http://a:1"),
            ("https://me:pass@b", "https://me:pass@b"),
            ("http://[::1]:2", "http://[::1]:2"),
        ),
    ),
    "language": Case(
        "run.language", "", (("German", "de"), ("en_US", "en-US"), ("zh", "zh"))
    ),
    "pace": Case("run.session.pace", 1.0, (("0", 0.0), ("2", 2.0), ("0.5", 0.5))),
    "chunk": Case(
        "run.session.chunk", 0.1, (("1ms", 0.001), ("60s", 60.0), ("20ms", 0.02))
    ),
    "rules": Case(
        "limits.rules",
        Level.MUST,
        (("off", None), ("should", Level.SHOULD), ("must", Level.MUST)),
    ),
    "confidence": Case(
        "limits.confidence", None, (("0.9", 0.9), (".5", 0.5), ("0.99", 0.99))
    ),
    "undecided": Case(
        "limits.undecided",
        UndecidedPolicy.FAIL,
        (
            ("warn", UndecidedPolicy.WARN),
            ("fail", UndecidedPolicy.FAIL),
            ("skip", UndecidedPolicy.SKIP),
        ),
    ),
    "baseline-target": servers("comparison.target"),
    "parallel": flags("run.parallel"),
    "level": Case(
        "suite.level",
        Level.INFO,
        (("must", Level.MUST), ("should", Level.SHOULD), ("info", Level.INFO)),
    ),
    "strict": flags("suite.strict"),
    "keep-going": flags("suite.keep_going"),
    "server-version": Case(
        "run.server.version",
        "",
        (
            ("0.33", "0.33"),
            ("v0.33.0", "0.33.0"),
            ("0.33.1.dev5+g1a2b3c", "0.33.1.dev5+g1a2b3c"),
        ),
    ),
    "allow": Case(
        "suite.allow",
        frozenset(),
        (
            ("heavy", {Harm.HEAVY}),
            (" disruptive , heavy,", {Harm.HEAVY, Harm.DISRUPTIVE}),
            ("disruptive", {Harm.DISRUPTIVE}),
        ),
    ),
    "api-key-command": Case(
        "run.server.key_command",
        (),
        (
            ("get-key", ("get-key",)),
            ("get-key  asr", ("get-key", "asr")),
            ("sh -c 'get-key | head -1'", ("sh", "-c", "get-key | head -1")),
        ),
    ),
    "max-audio": Case(
        "suite.max_audio", None, (("90", 90.0), ("2min", 120.0), ("0.5 min", 30.0))
    ),
    "soak": Case("suite.soak", None, (("1h", 3600.0), ("90", 90.0), ("2min", 120.0))),
    "load-errors": Case(
        "run.load.most_errors", 0.2, (("5%", 0.05), ("0.5", 0.5), (" 100 % ", 1.0))
    ),
    "max-streams": Case("suite.max_streams", None, (("1", 1), ("16", 16), ("4", 4))),
    "load-executor": Case(
        "run.load.place",
        Place(),
        (
            ("processes", Place()),
            ("processes:3", Place(3)),
            ("dask:tcp://gpu-7:8786", Place(scheduler="tcp://gpu-7:8786")),
        ),
    ),
    "metrics-url": Case(
        "run.server.metrics_url",
        None,
        (
            ("http://gpu-7:9090/own/metrics", "http://gpu-7:9090/own/metrics"),
            ("https://gpu-7", "https://gpu-7/metrics"),
            ("http://[::1]:8000/", "http://[::1]:8000/metrics"),
        ),
    ),
    "fuzz": Case("suite.fuzz", None, (("0", 0), ("40", 40), ("1", 1))),
    "fuzz-seed": Case(
        "suite.fuzz_seed", 1, (("0", 0), ("random", None), ("4294967295", 2**32 - 1))
    ),
    "fake": Case(
        "fake", (), (("-a 'b c'", ("-a", "b c")), ("d", ("d",)), ("e", ("e",)))
    ),
}
MANY = {
    "metrics-name": Case(
        "run.server.metrics_names",
        {},
        (
            ("running=busy", {Gauge.RUNNING: "busy"}),
            (
                " waiting = a:queue_2 \n memory=rss",
                {Gauge.WAITING: "a:queue_2", Gauge.MEMORY: "rss"},
            ),
            ("kv_cache=c", {Gauge.KV_CACHE: "c"}),
        ),
    ),
    "label": Case(
        "run.labels",
        {},
        (
            ("gpu=H100", {"gpu": "H100"}),
            (" gpu = L4 \n driver=5=5", {"gpu": "L4", "driver": "5=5"}),
            ("a=b", {"a": "b"}),
        ),
    ),
    "header": Case(
        "run.server.headers",
        {},
        (
            ("X-A=TOKEN_A", {"X-A": "hush-a"}),
            (" X-B = TOKEN_B ", {"X-B": "hush-b"}),
            ("X-C=TOKEN_C\n\n X-A=TOKEN_A", {"X-C": "hush-c", "X-A": "hush-a"}),
        ),
    ),
    "corpus": Case(
        "corpus",
        ("bundled:english",),
        (
            ("bundled:odd", ("bundled:odd",)),
            ("/", ("/",)),
            ("\nbundled:odd\n  .", ("bundled:odd", ".")),
        ),
    ),
    "perturb": Case(
        "perturb",
        (),
        (
            ("noise:10dB", ("noise:10dB",)),
            (" telephone , gain:-6dB ", ("telephone , gain:-6dB",)),
            ("speed:90%\n\n dither:seed=2", ("speed:90%", "dither:seed=2")),
        ),
    ),
    "budget": Case(
        "limits.run",
        NO_LIMITS,
        (
            ("wer <= 12%", run_limits(["wer <= 0.12"])),
            ("wer<=5%,drain p50<=1s", run_limits(["drain p50 <= 1000ms", "wer<=5%"])),
            (
                "drain max <= 1s\nwer<=5%",
                run_limits(["drain max <= 1s", "wer<=5%"]),
            ),
        ),
    ),
    "capacity": Case(
        "suite.capacity.limits",
        NO_LIMITS,
        (
            ("wer <= 12%", run_limits(["wer <= 0.12"])),
            ("wer<=5%,drain p50<=1s", run_limits(["drain p50 <= 1s", "wer<=5%"])),
            ("drain p95 <= 1s\nwer<=5%", run_limits(["drain p95 <= 1s", "wer<=5%"])),
        ),
    ),
    "report": Case(
        "reports",
        (),
        (
            ("conformance:out.json", (("conformance", Path("out.json")),)),
            ("a.html", (("html", Path("a.html")),)),
            ("a.jsonl\njsonl:b", (("jsonl", Path("a.jsonl")), ("jsonl", Path("b")))),
        ),
    ),
}
SEARCH = {
    "capacity-between",
    "capacity-hold",
    "capacity-confirm",
    "capacity-max-time",
}
FILES = {
    "budget-profile",
    "budgets",
    "ca",
    "client-cert",
    "client-key",
    "compare",
    "compare-fail",
    "known-failures",
    "suite",
}
ELSEWHERE = {"conformance", "api-key-env", "plan", *COMMANDS}


def test_every_option_has_a_test_case() -> None:
    assert {*CASES, *MANY, *FILES, *SEARCH, *ELSEWHERE} == set(BY_NAME)


@pytest.mark.parametrize("name", [*CASES, *MANY])
def test_command_line_over_ini_over_environment_over_default(name: str) -> None:
    in_order(name, {**CASES, **MANY}[name])


def test_a_suite_is_named_in_the_same_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pinned_suites, "_FOLDER", tmp_path)
    values = []
    for name, level in (("a", Level.MUST), ("b", Level.SHOULD), ("c", Level.INFO)):
        text = f'{{"dialect":"vllm","requirements":{{"one":"{level.value}"}}}}'
        (tmp_path / f"{name}.json").write_text(text)
        values.append((name, PinnedSuite(name, "vllm", {"one": level})))
    in_order("suite", Case("run.pinned", None, (values[0], values[1], values[2])))


KNOWN = """\
[[known]]
id = "%s"
reason = "so it is"
issue = "https://example.org/1"
until = 2027-01-31
"""


def test_known_failures_are_named_in_the_same_places(tmp_path: Path) -> None:
    values = []
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.toml").write_text(KNOWN % name)
        day = date(2027, 1, 31)
        link = "https://example.org/1"
        entry = Known(name, Expected.KNOWN, "so it is", link, day)
        values.append((str(tmp_path / f"{name}.toml"), (entry,)))
    in_order("known-failures", Case("run.known", (), (values[0], values[1], values[2])))


def test_limits_are_named_in_the_same_places(tmp_path: Path) -> None:
    values = []
    for name in ("a", "b", "c"):
        path = tmp_path / f"{name}.toml"
        path.write_text(f'final = "1s"\n[l4]\nname = "{name}"')
        values.append((str(path), {"final": "1s"}))
    in_order("budgets", Case("limits.named", {}, (values[0], values[1], values[2])))
    line, environment = {"budgets": values[1][0]}, {"REALTIME_BUDGET_PROFILE": "l4"}
    assert made(line, None, environment).limits.named == {"final": "1s", "name": "b"}
    assert made(line, {"budget-profile": "l4"}).limits.named["name"] == "b"


def test_margins_need_a_report_or_a_baseline_server() -> None:
    limit = {"compare-fail": "final_from_commit:5%"}
    for other, value in (("compare", [__file__]), ("baseline-target", "b:1")):
        found = made(limit, {other: value})
        assert [margin.metric for margin in found.comparison.margins] == [
            "final_from_commit"
        ]
    said = "--realtime-compare-fail: this option needs --realtime-compare or --realt"
    with pytest.raises(SettingError, match=said):
        made(limit)
    with pytest.raises(SettingError, match="budget-profile: this option needs --realt"):
        made({"budget-profile": "l4"})


CAPACITY: Given = {"capacity": ["wer <= 12%"]}


def test_a_search_for_the_capacity_has_its_own_options() -> None:
    given = {
        "capacity-between": "2, 64",
        "capacity-hold": "10s",
        "capacity-confirm": "1min",
        "capacity-max-time": "90s",
    }
    limits = run_limits(["wer <= 12%"])
    assert made(CAPACITY).suite.capacity == CapacityConfig(limits)
    assert made(CAPACITY, given).suite.capacity == CapacityConfig(
        limits, (2, 64), 10.0, 60.0, 90.0
    )
    assert set(given) == SEARCH
    for name, value in given.items():
        with pytest.raises(SettingError, match=f"{name}: this option needs --realt"):
            made({name: value})


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("capacity-between", "500", "with a comma between them, as in 1,500"),
        ("capacity-between", "8,7", "with a comma between them, as in 1,500"),
        ("capacity-between", "0,8", "with a comma between them, as in 1,500"),
        ("capacity-between", "1,2,3", "with a comma between them, as in 1,500"),
        ("capacity-hold", "10ms", "10ms is not a time from 1s to a week"),
        (
            "capacity-max-time",
            "5min",
            "5min is shorter than one level",
        ),
        ("capacity", ["drain max <= 1s"], "cannot be proven by any number of sessions"),
        ("load-errors", "20", "'20' is not a share; write one such as 20% or 0.2"),
        ("load-errors", "few", "'few' is not a share"),
        ("soak", "0", "0 is not a time from 1s to a week"),
    ],
)
def test_a_wrong_option_of_load(name: str, value: object, said: str) -> None:
    with pytest.raises(SettingError, match=said):
        made({**CAPACITY, name: value})


def in_order(name: str, case: Case) -> None:
    """Check the precedence of the places; an empty variable counts as not set."""
    (first, one), (second, two), (third, three) = case.values

    def raw(text: str) -> object:
        # pytest gives a repeated option and an ini of many lines as a list
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        return lines if name in MANY else text

    environment = {BY_NAME[name].env: third, **SECRETS}
    above, below = {name: raw(first)}, {name: raw(second)}
    assert case.of(made(above, below, environment)) == one
    assert case.of(made(None, below, environment)) == two
    assert case.of(made(None, None, environment)) == three
    assert case.of(made()) == case.default
    empty = {BY_NAME[name].env: " "}
    assert case.of(made(None, None, empty)) == case.default
    nothing: Given = {name: [" "] if name in MANY else ""}
    for line, ini in ((nothing, None), (None, nothing), (None, {name: []})):
        with pytest.raises(SettingError, match="the value is empty"):
            made(line, ini)


@pytest.mark.parametrize("name", ["insecure", "keep-going", "parallel", "strict"])
def test_a_flag_on_the_command_line_is_a_boolean(name: str) -> None:
    case = CASES[name]
    assert case.of(made({name: True}, {name: "no"})) is True
    assert case.of(made({name: None}, {name: "no"})) is False
    assert case.of(made({name: None}, {name: "TRUE"})) is True


def test_a_no_in_the_ini_file_overrides_a_yes_in_the_environment() -> None:
    environment = {"REALTIME_INSECURE": "true"}
    assert server(None, {"insecure": "false"}, environment).tls.insecure is False


def test_the_key_comes_from_the_environment_alone() -> None:
    environment = {"REALTIME_API_KEY": "hush", "OTHER": "hush-hush"}
    assert server().key == ""
    assert server(None, None, environment).key == "hush"
    other = {"api-key-env": "OTHER"}
    assert server(other, None, environment).key == "hush-hush"
    assert server(None, other, environment).key == "hush-hush"
    named = {**environment, "REALTIME_API_KEY_ENV": "OTHER"}
    assert server(None, None, named).key == "hush-hush"


@pytest.mark.parametrize("value", [None, ""])
def test_the_named_variable_of_the_key_must_be_set(value: str | None) -> None:
    key = "sk-this-is-the-key-itself"
    environment = {} if value is None else {key: value}
    for given, place in (
        ((({"api-key-env": key}), None, environment), "--realtime-api-key-env"),
        ((None, {"api-key-env": key}, environment), "realtime_api_key_env in the ini"),
        (
            (None, None, {**environment, "REALTIME_API_KEY_ENV": key}),
            "the environment variable REALTIME_API_KEY_ENV",
        ),
    ):
        with pytest.raises(SettingError, match=place) as caught:
            made(*given)
        assert key not in str(caught.value)


@pytest.mark.parametrize("target", FAKES)
def test_a_fake_server_has_a_default_key(target: str) -> None:
    assert server({"target": target}).key == FAKE_KEY
    assert server({"target": target}).secrets == (FAKE_KEY,)
    given = made({"target": target}, None, {"REALTIME_API_KEY": "hush"})
    assert given.run.server.key == "hush"
    assert server({"target": "http://host:1"}).key == ""


def test_the_scripted_server_needs_no_warm_up() -> None:
    assert server({"target": "fake"}).warmup == 0
    assert server({"target": "fake", "warmup": "auto"}).warmup == 0
    assert server({"target": "fake", "warmup": "3"}).warmup == 3
    assert server(None, {"target": "fake"}, {"REALTIME_WARMUP": "2"}).warmup == 2
    for target in ("reference", "http://fake"):
        assert server({"target": target}).warmup is None
    assert server().warmup is None


def test_the_secrets_are_the_key_and_the_values_of_the_headers() -> None:
    found = made(
        {"header": ["X-A=TOKEN_A"]}, None, {"REALTIME_API_KEY": "hush", **SECRETS}
    )
    assert found.run.server.secrets == ("hush", "hush-a")


@pytest.mark.parametrize(
    ("name", "value", "shown", "stays"),
    [
        ("Authorization", "Bearer abcd1234efgh", "abcd1234efgh", "Bearer"),
        ("X-Api-Key", "id=7; value=abcd1234efgh", "abcd1234efgh", "id=7"),
        ("Cookie", "session=abcd1234==, theme=dark", "abcd1234==", "theme"),
        # The user bob, and the password hush-hush.
        ("Proxy-Authorization", "Basic Ym9iOmh1c2gtaHVzaA==", "hush-hush", "bob"),
        ("X-Tenant", "acme corporation", "acme corporation", "corporation"),
    ],
)
def test_each_part_of_an_authenticating_header_is_a_secret(
    name: str, value: str, shown: str, stays: str
) -> None:
    found = made({"header": [f"{name}=OWN"]}, None, {"OWN": value}).run.redactor
    assert found.clean(f"<{shown}>") == "<[removed]>"
    assert found.clean(f"<{stays}>") == f"<{stays}>"
    assert found.clean(value) == "[removed]"


def test_no_secret_is_in_the_repr() -> None:
    line = {
        "header": ["X-A=TOKEN_A"],
        "target": "ws://host?key=hush",
        "baseline-target": "ws://other?key=hush",
        "proxy": "http://me:hush@proxy:1",
        "session-options": '{"key": "hush"}',
        "fake": "--key hush",
        "model": "m",
    }
    found = made(line, None, {"REALTIME_API_KEY": "hush", **SECRETS})
    assert "model='m'" in repr(found)
    assert "hush" not in repr(found)
    assert "hush" not in str(found)


# The dialect


def test_fake_servers_have_a_default_dialect() -> None:
    for target in ("fake", "reference"):
        assert made({"target": target}).dialect == "vllm"
        assert made({"target": target, "dialect": "openai"}).dialect == "openai"
        assert made({"target": target, "profile": "riva"}).dialect == "openai-beta:riva"


def test_a_profile_of_a_dialect_that_is_named() -> None:
    found = made({"dialect": "openai", "profile": "rates=16000"})
    assert found.dialect == "openai:rates=16000"


@pytest.mark.parametrize(
    ("line", "ini", "said"),
    [
        ({"profile": "x"}, None, "--realtime-profile: no dialect has a profile 'x'; "),
        (
            None,
            {"profile": "vad=no"},
            "realtime_profile in the ini file: 'vad=no' changes a profile",
        ),
        ({"profile": "azure", "dialect": "vllm"}, None, "vllm has no profile 'azure'"),
        ({"profile": "azure", "dialect": "d"}, None, "unknown dialect 'd'"),
        (
            {"profile": "azure a=1", "dialect": "openai"},
            None,
            "'a=1' is not a capability",
        ),
    ],
)
def test_wrong_profiles(
    line: dict[str, object] | None, ini: dict[str, object] | None, said: str
) -> None:
    with pytest.raises(SettingError, match=re.escape(said)):
        made(line, ini)


# Wrong values

WRONG: Mapping[str, tuple[tuple[str, str], ...]] = {
    "session-options": (
        ("{", "not JSON: "),
        ("[]", 'the value is not a JSON object, such as {"language": "en"}'),
    ),
    "wait": (
        ("soon", "'soon' is not a duration: .*'800ms'"),
        ("-1", "-1 is not a time from 0s to a week; write one such as 30s"),
        ("inf", "'inf' is not a duration"),
        ("nan", "'nan' is not a duration"),
        ("604801", "604801 is not a time from 0s to a week"),
    ),
    "recover": (("-1s", "'-1s' is not a duration"),),
    "timeout": (
        ("1 fortnight", "'1 fortnight' is not a duration"),
        ("0", "0 is not a time from 0.001s to a week"),
    ),
    "max-message": (
        ("much", "'much' is not a size; write one such as 4MiB or 500kB"),
        ("-1MiB", "'-1MiB' is not a size"),
        ("4 mib", "'4 mib' is not a size"),
        ("1e9", "'1e9' is not a size"),
        ("0", "a size of 0 cannot be used; give a size from 1KiB to 1GiB"),
        ("1023B", "a size of 1023B cannot be used; give a size from 1KiB to 1GiB"),
        ("1025MiB", "a size of 1025MiB cannot be used; give a size from 1KiB to 1GiB"),
    ),
    "warmup": (
        ("some", "'some' is neither auto nor a number of sessions"),
        ("-1", "'-1' is neither auto nor a number"),
        ("1.5", "'1.5' is neither auto nor a number"),
    ),
    "insecure": (("perhaps", "'perhaps' is neither true nor false"),),
    "parallel": (("2", "'2' is neither true nor false"),),
    "language": (
        ("xx", "'xx' is not a known language; write a tag such as de, en-US"),
        ("und", "'und' is no language; write a tag such as de or en-US"),
    ),
    "pace": (
        ("fast", "a pace of 'fast' cannot be used; give 0 .as fast as possible., or a"),
        ("-1", "a pace of -1.0 cannot be used; give 0 .as fast as possible."),
        ("nan", "a pace of 'nan' cannot be used; give 0 .as fast as possible."),
        ("inf", "a pace of 'inf' cannot be used; give 0 .as fast as possible."),
    ),
    "chunk": (
        ("100", "'100' is not a duration: .*'800ms'"),
        ("0ms", "a chunk of 0ms cannot be used; give a length from 1ms to 60s"),
        ("2min", "a chunk of 2min cannot be used; give a length from 1ms to 60s"),
        ("61s", "a chunk of 61s cannot be used; give a length from 1ms to 60s"),
    ),
    "rules": (("may", "'may' is not a level; choose from must, should and off"),),
    "level": (
        ("all", "'all' is not a level; choose from must, should and info"),
        ("MUST", "'MUST' is not a level; choose from must, should and info"),
    ),
    "strict": (("very", "'very' is neither true nor false"),),
    "keep-going": (("very", "'very' is neither true nor false"),),
    "suite": (
        (
            "vllm",
            "'vllm' is not a pinned suite; choose from deepgram-2026.12, ",
        ),
        ("../x", "'../x' is not a pinned suite; choose from "),
    ),
    "known-failures": (("absent.toml", "absent.toml: there is no such file"),),
    "server-version": (
        ("newest", "'newest' is not a version; write one such as 0.33.0"),
        ("<0.33", "'<0.33' is not a version"),
    ),
    "allow": (
        (
            "heavy,everything",
            "'everything' is not a kind of harm; choose heavy or disruptive, or "
            "write both as heavy,disruptive",
        ),
        (
            "heavy disruptive",
            "'heavy disruptive' is not a kind of harm; choose heavy or disruptive",
        ),
    ),
    "api-key-command": (
        ("get 'key", "No closing quotation; quote the words as in a shell"),
    ),
    "max-audio": (
        ("much", "'much' is not a duration: .*'10min'"),
        ("-1", "-1 is not a time from 0s to a week; write one such as 30s"),
        ("inf", "'inf' is not a duration"),
    ),
    "metrics-url": tuple(
        (text, "the value is not the URL of metrics; write one such as http://HOST")
        for text in (
            "gpu-7:9090/metrics",
            "ftp://gpu-7/metrics",
            "http:///metrics",
            "http://gpu-7:99999/metrics",
            "http://gpu-7:0/metrics",
            "http://gpu 7/metrics",
            "http://gpu-7/the metrics",
            "http://me:pass@gpu-7/metrics",
            "http://gpu-7/metrics?key=hush",
            "http://gpu-7/metrics#top",
            "http://[::1/metrics",
        )
    ),
    "load-executor": (
        ("threads", "'threads' is not a place for load; write processes, processes:N"),
        ("processes:0", "'0' is not a whole number from 1 to 1024"),
        (
            "dask:gpu-7",
            "'gpu-7' is not the address of a Dask scheduler; write an address",
        ),
    ),
    "max-streams": (
        ("0", "'0' is not a whole number from 1"),
        ("-1", "'-1' is not a whole number from 1"),
        ("2.5", "'2.5' is not a whole number from 1"),
        ("many", "'many' is not a whole number from 1"),
    ),
    "fuzz": (
        ("-1", "'-1' is not a whole number from 0"),
        ("x", "'x' is not a whole"),
    ),
    "fuzz-seed": (
        ("-1", "'-1' is neither random nor a seed from 0 to 4294967295"),
        ("Random", "'Random' is neither random nor a seed"),
    ),
    "fake": (("'a", "No closing quotation"),),
}
WRONG_OF_MANY: Mapping[str, tuple[tuple[str, str], ...]] = {
    "metrics-name": (
        ("busy", "'busy' is not a metric of a load test; choose from running, waiting"),
        ("gpu=busy", "'gpu' is not a metric of a load test; choose from running, "),
        ("running=", "'' is not a metric in Prometheus's text format; write its name"),
        ("running=a{b}", "'a{b}' is not a metric in Prometheus's text format"),
        ("running=my-queue", "'my-queue' is not a metric in Prometheus's text"),
    ),
    "header": (
        ("X-A", "the name of the header or of its variable is missing; write"),
        ("X-A=", "the name of the header or of its variable is missing; write"),
        ("=TOKEN_A", "the name of the header or of its variable is missing; write"),
        ("X-A=ABSENT", "the environment variable for the header X-A is not set; set"),
        (
            "X A=ABSENT",
            "the name of the header contains a character that cannot be sent",
        ),
        (
            "X:=ABSENT",
            "the name of the header contains a character that cannot be sent",
        ),
        (
            "\u00dcber=ABSENT",
            "the name of the header contains a character that cannot",
        ),
        (
            "Host=ABSENT",
            "the header Host is set by the connection itself; omit this option",
        ),
        ("upgrade=ABSENT", "the header upgrade is set by the connection itself"),
        ("Sec-WebSocket-Key=ABSENT", "the header Sec-WebSocket-Key is set by the con"),
    ),
    "perturb": (
        ("nois:10dB", "'nois' is not a perturbation; choose from babble, clipping, "),
        ("telephone,noise:10", "noise: snr: '10' is not a level: .*'10dB'"),
        ("noise:90dB", "noise: snr: 90dB cannot be used; give .* from -40dB to 80dB"),
        ("noise", r"'noise': missing .*; write noise:SNR\[:seed=1\]"),
        ("babble:5dB:talkers=0", "babble: talkers: 0 cannot be used; give a whole"),
    ),
    "report": (
        (
            "out.pdf",
            "'out.pdf' names no known kind of report; write PATH.jsonl, ",
        ),
        ("out.json", "'out.json' names no known kind of report"),
        ("out", "'out' names no known kind of report"),
        ("pdf:out.jsonl", "'pdf:out.jsonl' names no known kind of report"),
    ),
}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (name, text, message)
        for name, cases in {**WRONG, **WRONG_OF_MANY}.items()
        for text, message in cases
    ],
)
def test_a_wrong_value_names_its_place_and_a_valid_value(
    name: str, text: str, message: str
) -> None:
    option = BY_NAME[name]
    raw = {name: [text] if option.many else text}
    with pytest.raises(SettingError, match=f"^{option.cli}: {message}"):
        made(raw)
    with pytest.raises(SettingError, match=f"^{option.ini} in the ini file: {message}"):
        made(None, raw)
    place = f"the environment variable {option.env}"
    with pytest.raises(SettingError, match=f"^{place}: {message}"):
        made(None, None, {option.env: text})


@pytest.mark.parametrize(
    ("name", "value"),
    [("metrics-url", "http://gpu-7/metrics"), ("metrics-name", ["running=busy"])],
)
def test_metrics_need_their_library(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_metrics, "is_installed", lambda: False)
    expected = rf'^--realtime-{name}: .*pip install "pytest-realtime-asr\[load\]"'
    with pytest.raises(SettingError, match=expected):
        made({name: value})


@pytest.mark.parametrize("url", ["http://me:hush@gpu-7/m", "http://gpu-7/m?key=hush"])
def test_a_secret_in_the_url_of_the_metrics_is_not_shown(url: str) -> None:
    with pytest.raises(SettingError) as caught:
        made({"metrics-url": url})
    assert "hush" not in str(caught.value)


def test_a_secret_that_was_written_in_place_of_its_variable_is_not_shown() -> None:
    for wrong in ("X-A=hush", "X-A: hush", "hush"):
        with pytest.raises(SettingError) as caught:
            made({"header": [wrong]})
        assert "hush" not in str(caught.value)


def test_each_kind_of_report_is_known_by_its_suffix() -> None:
    for kind in set(REPORTS) - {"benchmark"}:
        assert made({"report": [f"a/b.{kind}"]}).reports == (
            (kind, Path(f"a/b.{kind}")),
        )


def test_a_benchmark_has_two_files() -> None:
    assert made({"report": ["benchmark:a/b.json"]}).reports == (
        ("benchmark", Path("a/b.json")),
        ("benchmark-bigger", Path("a/b.bigger.json")),
    )
    with pytest.raises(SettingError, match=r"the name of a file that ends with \.json"):
        made({"report": ["a/b.benchmark"]})


@pytest.mark.parametrize(
    "value", ["sk-hush\nX: y", "sk-\0hush", "sk-\x7fhush", "hush…"]
)
def test_a_value_that_no_header_can_have_is_refused_and_not_shown(value: str) -> None:
    for line, variable in (({}, "REALTIME_API_KEY"), ({"header": ["X-A=T"]}, "T")):
        with pytest.raises(
            SettingError, match=rf"variable {variable} contains"
        ) as caught:
            made(line, None, {variable: value})
        assert "hush" not in str(caught.value)


def test_a_line_break_at_the_end_of_a_secret_is_removed() -> None:
    environment = {"REALTIME_API_KEY": " sk-hush\r\n", "T": "hush \n"}
    found = server({"header": ["X-A=T"]}, None, environment)
    assert (found.key, found.headers) == (
        "sk-hush",
        {"X-A": "hush"},
    )


def test_paths_are_relative_to_the_origin(tmp_path: Path) -> None:
    given = {
        "report": ["jsonl:out", "/a/b.jsonl"],
        "corpus": ["bundled:odd", "own"],
        "compare": ["own.toml"],
        "known-failures": "own.toml",
    }
    (tmp_path / "own.toml").write_text(KNOWN % "one")
    (tmp_path / "own").mkdir()
    found = settings(
        lambda option: given.get(option.name), lambda _: None, {}, origin=tmp_path
    )
    assert found.reports == (
        ("jsonl", tmp_path / "out"),
        ("jsonl", Path("/a/b.jsonl")),
    )
    assert found.corpus == ("bundled:odd", str(tmp_path / "own"))
    assert found.comparison.reports == (tmp_path / "own.toml",)
    assert [entry.id for entry in found.run.known] == ["one"]


def test_a_wrong_entry_of_the_known_failures_is_named(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(KNOWN % "one" + KNOWN % "one")
    said = r"^--realtime-known-failures: .*own\.toml: .*one is listed twice; remove"
    with pytest.raises(SettingError, match=said):
        made({"known-failures": str(path)})


# TLS


class Files(NamedTuple):
    """The paths of certificates and of a key."""

    ca: Path
    cert: Path
    key: Path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    folder = tmp_path_factory.mktemp("tls")
    found = Files(folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(found.ca)
    issued = authority.issue_cert("host")
    issued.cert_chain_pems[0].write_to_path(found.cert)
    issued.private_key_pem.write_to_path(found.key)
    return found


def test_a_certificate_is_verified_by_default() -> None:
    context = server().tls.context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_insecure_verifies_nothing() -> None:
    context = server({"insecure": True}).tls.context()
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


def test_certificates_of_a_private_authority(files: Files) -> None:
    line = {"ca": files.ca, "client-cert": files.cert, "client-key": files.key}
    context = server(line).tls.context()
    subjects = [each["subject"] for each in context.get_ca_certs()]
    assert any("trustme" in str(subject) for subject in subjects)
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_files_of_tls_are_named_in_the_same_places(files: Files) -> None:
    ca, cert, key = str(files.ca), str(files.cert), str(files.key)
    for found in (
        made({"ca": ca, "client-cert": cert}, None, {"REALTIME_CLIENT_KEY": key}),
        made(None, {"ca": ca, "client-key": key}, {"REALTIME_CLIENT_CERT": cert}),
        made({"client-cert": cert}, {"client-key": key}, {"REALTIME_CA": ca}),
    ):
        tls = found.run.server.tls
        assert (tls.ca, tls.client_cert, tls.client_key) == files
    with pytest.raises(
        SettingError, match="client-key: this option needs --realtime-cl"
    ):
        made({"client-key": key})


def test_a_certificate_that_cannot_be_loaded_is_named(files: Files) -> None:
    absent = str(files.ca.with_name("absent.pem"))
    given: Given
    for given, said in (
        ({"ca": absent}, r"^--realtime-ca: .*absent\.pem: there is no such file"),
        ({"ca": files.key}, r"^--realtime-ca: .* the certificates in .*key\.pem: "),
        ({"client-cert": absent}, r"^--realtime-client-cert: .*absent\.pem: "),
        ({"client-cert": files.cert}, r"^--realtime-client-cert: .*cert\.pem with "),
        ({"client-cert": files.ca}, r"^--realtime-client-cert: .*ca\.pem with "),
        (
            {"client-cert": files.cert, "client-key": absent},
            r"^--realtime-client-key: .*absent\.pem: ",
        ),
    ):
        with pytest.raises(SettingError, match=said):
            made(given)


def test_a_certificate_that_was_deleted_later_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    found = made({"ca": path})
    path.unlink()
    with pytest.raises(InputError, match=r"the certificate .*ca\.pem: "):
        found.run.server.tls.context()
