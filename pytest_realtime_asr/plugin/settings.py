"""Converts the options of a run to typed values.

Each section of the settings has its own class. A class that lower layers need is
defined in these layers: in `pytest_realtime_asr.run.config` or in
`pytest_realtime_asr.conformance.config`.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client.dialect_detection import AUTO
from pytest_realtime_asr.client.target import REPLAY, replayed
from pytest_realtime_asr.conformance.config import CapacityConfig, SuiteConfig
from pytest_realtime_asr.fake import recordings
from pytest_realtime_asr.fake.config import Timing
from pytest_realtime_asr.fake.process import DEFAULT_DIALECT
from pytest_realtime_asr.load import executors
from pytest_realtime_asr.plugin import parsing
from pytest_realtime_asr.plugin.kept_traces import Keep
from pytest_realtime_asr.plugin.options import OPTIONS, Option
from pytest_realtime_asr.plugin.raw_options import Given, first_given, flag
from pytest_realtime_asr.report.junit import Detail
from pytest_realtime_asr.requirements import known_failures, pinned_suites
from pytest_realtime_asr.requirements.requirement import Level
from pytest_realtime_asr.run.config import (
    LoadConfig,
    MeasurementConfig,
    ServerConfig,
    SessionConfig,
    TlsConfig,
    is_secret,
)
from pytest_realtime_asr.run.fakes import FAKE_KEY, FAKES, is_started
from pytest_realtime_asr.text import inputs
from pytest_realtime_asr.text.inputs import InputError
from pytest_realtime_asr.verdicts import budget_file
from pytest_realtime_asr.verdicts.limits import Margin
from pytest_realtime_asr.verdicts.run_limits import NO_LIMITS, RunLimits
from pytest_realtime_asr.verdicts.verdict import UndecidedPolicy

_LONGEST = 2**16  # characters of an option
_KEY_VARIABLE = "REALTIME_API_KEY"

T = TypeVar("T")
Lookup = Callable[[Option], object]


class SettingError(InputError):
    """Raised for an option whose value cannot be used.

    The message says where the option is set, what is wrong, and what to write.
    ``from_environment`` says that an environment variable sets the option. Such a
    variable may also be set in runs that do not use this plugin.
    """

    def __init__(self, message: str, *, from_environment: bool = False) -> None:
        super().__init__(message)
        self.from_environment = from_environment


@dataclass(frozen=True, slots=True)
class LimitConfig:
    """The limits by which tests are judged unless a marker sets others.

    A test fails if a requirement of the level ``rules`` or of a stronger level is
    violated. If ``rules`` is ``None``, no violation fails a test. ``named`` are the
    limits that a marker can use by their names. ``run`` are the limits of the run, for
    metrics that no marker limits.
    """

    rules: Level | None = Level.MUST
    confidence: float | None = None
    undecided: UndecidedPolicy = UndecidedPolicy.FAIL
    named: Mapping[str, budget_file.Value] = field(default_factory=dict)
    run: RunLimits = NO_LIMITS


@dataclass(frozen=True, slots=True)
class ComparisonConfig:
    """The earlier reports and the baseline server with which tests are compared.

    A test fails if a metric got worse by more than its margin in ``margins``.
    ``target`` is the baseline server; the query of its URL may be secret.
    """

    reports: tuple[Path, ...] = ()
    margins: tuple[Margin, ...] = ()
    target: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class ReplayConfig:
    """The settings of a target that replays recorded sessions.

    ``timing`` says when the answers are sent. Recordings that are older than
    ``max_age`` seconds cause a warning.
    """

    timing: Timing = Timing.RECORDED
    max_age: float = 30 * 86400.0


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run, by section.

    ``junit`` says what JUnit XML contains. ``traces`` is the folder that the user named
    for traces; ``keep`` says for which tests traces are kept. With ``utterances``,
    the terminal lists, for each test, the utterances that have word errors. ``fake``
    are the command-line arguments of the servers that the plugin starts. The query of
    the URL in ``target`` may be secret.
    """

    run: MeasurementConfig
    limits: LimitConfig
    comparison: ComparisonConfig
    suite: SuiteConfig
    target: str = field(default="", repr=False)
    corpus: tuple[str, ...] = ("bundled:english",)
    perturb: tuple[str, ...] = ()
    reports: tuple[tuple[str, Path], ...] = ()
    junit: Detail = Detail.FULL
    traces: Path | None = None
    keep: Keep = Keep.FAILED
    utterances: bool = False
    replay: ReplayConfig = ReplayConfig()
    fake: tuple[str, ...] = field(default=(), repr=False)

    @property
    def dialect(self) -> str:
        """The dialect of the run, or `AUTO` to detect it."""
        return self.run.session.dialect

    def with_dialect(self, dialect: str) -> Settings:
        """Return these settings with the dialect that was detected."""
        session = replace(self.run.session, dialect=dialect)
        return replace(self, run=replace(self.run, session=session))


def settings(
    command_line: Lookup,
    ini: Lookup,
    environment: Mapping[str, str],
    *,
    origin: Path = Path(),
) -> Settings:
    """Return the settings of a run.

    Of all places that set an option, the place with the highest precedence counts.

    ``command_line`` and ``ini`` return the raw value of an option, or ``None`` if the
    option is not set there. Relative paths are joined to ``origin``. Raises
    `SettingError`.
    """
    given = _Values(command_line, ini, environment, origin)
    given.require("budget-profile", "budgets")
    given.require("compare-fail", "compare", "baseline-target")
    given.require("client-key", "client-cert")
    for part in ("between", "hold", "confirm", "max-time"):
        given.require(f"capacity-{part}", "capacity")
    for option in OPTIONS:
        if option.flag:
            given.read(option.name, flag)
    return Settings(
        target=given.read("target", parsing.target),
        run=MeasurementConfig(
            server=_server(given),
            session=_session(given),
            pinned=given.optional("suite", pinned_suites.load),
            known=given.optional(
                "known-failures", lambda text: known_failures.read(origin / text)
            )
            or (),
            labels=dict(given.each("label", parsing.label)),
            language=given.read("language", parsing.language),
            parallel=given.read("parallel", flag),
            private=given.read("private", flag),
            max_audio=given.optional("max-audio", parsing.seconds),
            load=LoadConfig(
                allow=given.read("allow", parsing.harms),
                most_errors=given.read("load-errors", parsing.share),
                place=given.read("load-executor", executors.parse),
                every_trace=given.read("trace-keep", parsing.keep) is Keep.ALL,
            ),
        ),
        corpus=given.each("corpus", lambda text: parsing.corpus_place(text, origin))
        or ("bundled:english",),
        perturb=given.each("perturb", parsing.perturbation),
        limits=_limits(given),
        comparison=_comparison(given),
        suite=_suite(given),
        reports=_reports(given),
        junit=given.read("junit", parsing.junit),
        traces=given.optional("traces", lambda text: origin / text),
        keep=given.read("trace-keep", parsing.keep),
        utterances=given.read("utterances", flag),
        replay=ReplayConfig(
            timing=given.read("replay-timing", parsing.replay_timing),
            max_age=given.read("replay-max-age", parsing.age),
        ),
        fake=tuple(given.read("fake", shlex.split)),
    )


class _Values:
    """The raw value of each option, from the first place that sets the option.

    Raises `SettingError` for a value that is set but empty, is too long, is not UTF-8
    or contains NUL.
    """

    def __init__(
        self,
        command_line: Lookup,
        ini: Lookup,
        environment: Mapping[str, str],
        origin: Path,
    ) -> None:
        self.environment = environment
        self.origin = origin
        self._given: dict[str, Given] = {}
        for option in OPTIONS:
            found = first_given(option, command_line(option), ini(option), environment)
            self._given[option.name] = found
            with _named(found):
                _check(found)

    def text(self, name: str) -> str:
        """Return the value of an option as the user wrote it."""
        return str(self._given[name].value)

    def place(self, name: str) -> str:
        """Return the place that sets an option."""
        return self._given[name].place

    def read(self, name: str, parse: Callable[[str], T]) -> T:
        """Return the parsed value of an option, or its parsed default.

        Raises `SettingError`.
        """
        with _named(self._given[name]):
            return parse(self.text(name))

    def optional(self, name: str, parse: Callable[[str], T]) -> T | None:
        """Return the parsed value of an option, or ``None`` if it has no value."""
        return self.read(name, parse) if self._given[name].value else None

    def file(self, name: str, check: Callable[[Path], object]) -> Path | None:
        """Return the path in an option, or ``None`` if the option has no value.

        ``check`` raises ValueError for a file that cannot be used.
        """

        def parse(text: str) -> Path:
            check(self.origin / text)
            return self.origin / text

        return self.optional(name, parse)

    def each(self, name: str, parse: Callable[[str], T]) -> tuple[T, ...]:
        """Return the parsed values of an option that may be repeated."""
        return self.together(name, lambda texts: tuple(map(parse, texts)))

    def together(self, name: str, parse: Callable[[Iterable[str]], T]) -> T:
        """Return one result, parsed from all values of a repeatable option."""
        values = self._given[name].value
        assert isinstance(values, list | tuple)
        with _named(self._given[name]):
            return parse([str(value) for value in values])

    def require(self, name: str, *others: str) -> None:
        """Check that an option is set only together with one of the others.

        Raises `SettingError`.
        """
        if self._given[name].stated and not any(
            self._given[other].value for other in others
        ):
            wanted = " or ".join(f"--realtime-{other}" for other in others)
            with _named(self._given[name]):
                raise ValueError(f"this option needs {wanted}")


@contextmanager
def _named(given: Given) -> Iterator[None]:
    """Convert a ValueError raised in the block to a `SettingError` about the option."""
    try:
        yield
    except SettingError:
        raise
    except ValueError as error:
        raise SettingError(
            f"{given.place}: {error}", from_environment=given.from_environment
        ) from error


def _check(given: Given) -> None:
    """Refuse a value that is set but empty, is too long, is not UTF-8 or contains NUL.

    Raises ValueError.
    """
    value = given.value
    found = value if isinstance(value, list | tuple) else [value]
    texts = [inputs.plain(str(each)) for each in found]
    if any(len(text) > _LONGEST for text in texts):
        raise ValueError(
            f"the value is longer than {_LONGEST} characters; shorten the value"
        )
    if given.stated and not (texts and all(text.strip() for text in texts)):
        raise ValueError("the value is empty; give a value, or omit the option")


def _server(given: _Values) -> ServerConfig:
    client_key = given.file("client-key", inputs.regular)
    ours = is_started(given.text("target"))
    command = given.read("api-key-command", parsing.command)
    key = "" if command else _key(given)
    headers = dict(
        given.each("header", lambda text: parsing.header(text, given.environment))
    )
    source = "--realtime-header" if any(map(is_secret, headers)) else ""
    if command:
        source = "--realtime-api-key-command"
    elif key:
        source = given.text("api-key-env")
    return ServerConfig(
        key=key or (FAKE_KEY if ours and not command else ""),
        key_command=command,
        key_source=source,
        headers=headers,
        tls=TlsConfig(
            ca=given.file("ca", parsing.check_authorities),
            client_cert=given.file(
                "client-cert",
                lambda path: parsing.check_certificate(path, client_key),
            ),
            client_key=client_key,
            server_name=given.optional("server-name", parsing.host),
            insecure=given.read("insecure", flag),
        ),
        proxy=given.optional("proxy", parsing.proxy),
        max_message=given.read("max-message", parsing.size),
        wait=given.read("wait", parsing.seconds),
        recover=given.read("recover", parsing.seconds),
        warmup=_warmup(given),
        version=given.read("server-version", parsing.version),
        metrics_url=given.optional("metrics-url", parsing.metrics_url),
        metrics_names=dict(given.each("metrics-name", parsing.metrics_name)),
    )


def _key(given: _Values) -> str:
    """Return the API key of the server, or an empty string. Raises `SettingError`."""
    variable = given.text("api-key-env")
    value = given.environment.get(variable, "")
    # The value of the option is not shown: a user may have written the key itself.
    if variable != _KEY_VARIABLE and not value:
        raise SettingError(
            f"{given.place('api-key-env')}: no environment variable of this name is "
            "set; give the name of the variable that holds the key, not the key itself"
        )
    try:
        return parsing.secret(variable, value)
    except ValueError as error:
        raise SettingError(str(error)) from None


def _warmup(given: _Values) -> int | None:
    # A scripted recogniser and recorded sessions have nothing to warm up.
    if given.text("warmup") == "auto" and _answers_at_once(given.text("target")):
        return 0
    return given.read("warmup", parsing.warmup)


def _answers_at_once(target: str) -> bool:
    return target == "fake" or target.startswith(REPLAY)


def _session(given: _Values) -> SessionConfig:
    dialect = given.read("profile", lambda profile: _dialect(given, profile))
    if dialect == AUTO:
        dialect = given.read("target", _recorded_dialect) or AUTO
    return SessionConfig(
        dialect=dialect,
        model=given.text("model"),
        options=given.read("session-options", inputs.json_object),
        pace=given.read("pace", parsing.pace_text),
        chunk=given.read("chunk", parsing.chunk),
        timeout=given.read("timeout", lambda text: parsing.seconds(text, least=0.001)),
    )


def _dialect(given: _Values, profile: str) -> str:
    """Return the dialect with its profile, or `AUTO` if no dialect is named.

    Raises ValueError for an unknown profile.
    """
    name = given.text("dialect")
    if profile.strip():
        try:
            return dialects.with_profile(profile, of="" if name == AUTO else name)
        except LookupError as error:
            raise ValueError(error.args[0]) from None
    if name == AUTO and given.text("target") in FAKES:
        return DEFAULT_DIALECT
    return name


def _recorded_dialect(target: str) -> str | None:
    """Return the dialect of the recordings in ``DIR`` if a target is ``replay:DIR``.

    Returns ``None`` for other targets. Raises ValueError if the folder has no
    recordings.
    """
    folder = replayed(target)
    return None if folder is None else recordings.find(Path(folder)).dialect


def _limits(given: _Values) -> LimitConfig:
    profile = given.text("budget-profile")
    return LimitConfig(
        rules=given.read("rules", parsing.level),
        confidence=given.optional("confidence", parsing.confidence),
        undecided=given.read("undecided", parsing.undecided),
        named=given.optional(
            "budgets", lambda text: parsing.named_limits(text, given.origin, profile)
        )
        or {},
        run=_run_limits(given),
    )


def _run_limits(given: _Values) -> RunLimits:
    return given.together("budget", lambda each: parsing.limits(each, given.origin))


def _reports(given: _Values) -> tuple[tuple[str, Path], ...]:
    found = given.each("report", lambda text: parsing.report(text, given.origin))
    return tuple(each for kind, path in found for each in _files(kind, path))


def _files(kind: str, path: Path) -> Iterator[tuple[str, Path]]:
    """Yield the kind and path of each file of a report; a benchmark has two files."""
    yield kind, path
    if kind == "benchmark":
        yield "benchmark-bigger", path.with_name(f"{path.stem}.bigger{path.suffix}")


def _comparison(given: _Values) -> ComparisonConfig:
    target, origin = given.text("target"), given.origin
    own = [path for _, path in _reports(given)]
    files = given.each(
        "compare", lambda text: parsing.earlier_reports(text, origin, own)
    )
    return ComparisonConfig(
        reports=tuple(dict.fromkeys(path for each in files for path in each)),
        margins=given.read("compare-fail", parsing.margins),
        target=given.read(
            "baseline-target", lambda text: parsing.other_target(text, target)
        ),
    )


def _suite(given: _Values) -> SuiteConfig:
    limits = _run_limits(given)
    others = (given.text("baseline-target"), given.each("compare", str))
    return SuiteConfig(
        limited=limits.metrics,
        measured=bool(limits) or any(others),
        level=given.read("level", parsing.suite_level),
        strict=given.read("strict", flag),
        keep_going=given.read("keep-going", flag),
        allow=given.read("allow", parsing.harms),
        max_audio=given.optional("max-audio", parsing.seconds),
        max_streams=given.optional(
            "max-streams", lambda text: inputs.whole(text, 1, 10_000)
        ),
        fuzz=given.optional("fuzz", lambda text: inputs.whole(text, 0, 100_000)),
        fuzz_seed=given.read("fuzz-seed", parsing.fuzz_seed),
        capacity=_capacity(given),
        soak=given.optional("soak", _positive),
    )


def _capacity(given: _Values) -> CapacityConfig:
    limits = given.together(
        "capacity", lambda each: parsing.capacity(each, given.origin)
    )
    hold = given.read("capacity-hold", _positive)
    confirm = given.read("capacity-confirm", _positive)

    def most(text: str) -> float:
        found = _positive(text)
        if found < hold + confirm:
            raise ValueError(
                f"{text} is shorter than one level ({hold:g}s) plus the confirmation "
                f"({confirm:g}s); give a longer time"
            )
        return found

    return CapacityConfig(
        limits=limits,
        between=given.read("capacity-between", parsing.between),
        hold=hold,
        confirm=confirm,
        max_time=given.read("capacity-max-time", most),
    )


def _positive(text: str) -> float:
    return parsing.seconds(text, least=1.0)
