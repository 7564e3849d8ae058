"""A run: its servers, its turns and its tests, and what a test holds in its hands."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from pytest_realtime_asr import corpus
from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.dialect_detection import Discovery
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.session import OptionsError, Plan
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.corpus import Corpus
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.dialects.vllm.events import Error
from pytest_realtime_asr.plugin.settings import settings
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.known_failures import Expected, Known
from pytest_realtime_asr.requirements.pinned_suites import PinnedSuite
from pytest_realtime_asr.requirements.requirement import Level, Requirement, Violated
from pytest_realtime_asr.run import warm_up
from pytest_realtime_asr.run.config import MeasurementConfig
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.run.transcription import Purpose, Transcription
from pytest_realtime_asr.run.warm_up import WARMUPS
from pytest_realtime_asr.trace.records import Ending, Sender
from tests.support.paths import FIXTURES
from tests.support.servers import CLIP, CREATED, VLLM, closed, faking, plain, serving

ENGLISH = corpus.load("bundled:english")
WARM = Corpus("warm", (CLIP,))
MODELS = b'{"data":[{"id":"fake"}]}'


def options(
    environment: Mapping[str, str] | None = None, **given: object
) -> MeasurementConfig:
    """A fast configuration of a known dialect, without a warm-up."""
    fast = {"pace": "8", "warmup": "0", "recover": "0", "dialect": "vllm", **given}
    return settings(
        lambda option: fast.get(option.name.replace("-", "_")),
        lambda option: None,
        environment or {},
    ).run


def with_options(
    config: MeasurementConfig, options: Mapping[str, object]
) -> MeasurementConfig:
    """The configuration with other session options."""
    return replace(config, session=replace(config.session, options=options))


Start = Callable[..., Run]


@pytest.fixture
def start() -> Iterator[Start]:
    """Makes runs, and stops them at the end."""
    runs: list[Run] = []

    def make(
        given: MeasurementConfig | None = None, *, shared: Path | None = None
    ) -> Run:
        run = Run(given or options(), lambda: WARM, shared=shared)
        runs.append(run)
        return run

    yield make
    for run in runs:
        run.stop()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with faking() as (url, _):
        yield url


def terms(run: Run) -> Terms:
    session = run.config.session
    return Terms(session.dialect, session.model, session.pace, session.chunk)


def realtime(run: Run, url: str) -> Realtime:
    return Realtime(run, run.servers.plan(url, terms(run), {}), terms(run))


class Site:
    """A server's HTTP side: the status of each ``/health``, and what was asked.

    Without a ``version`` it has no such route.
    """

    def __init__(self, *health: int, models: bytes = MODELS, version: str = "") -> None:
        self.health = list(health)
        self.models = models
        self.version = version
        self.asked: list[str] = []

    def __call__(self, request: Request) -> Response | None:
        self.asked.append(request.path)
        if request.path == "/health":
            return plain(self.health.pop(0) if self.health else 200)
        if request.path == "/v1/models":
            return plain(200, self.models)
        if request.path == "/version":
            body = b'{"version":"%s"}' % self.version.encode()
            return plain(200, body) if self.version else plain(404)
        return None


class Talk:
    """A server's sessions: each answers its commit after the next of the delays."""

    def __init__(self, *delays: float) -> None:
        self.delays = delays
        self.sessions = 0

    async def __call__(self, connection: ServerConnection) -> None:
        delay = self.delays[min(self.sessions, len(self.delays) - 1)]
        self.sessions += 1
        await connection.send(CREATED)
        async for frame in connection:
            if '"final":true' in str(frame):
                if delay < 0:
                    await connection.close(1011, "no memory")
                    return
                await asyncio.sleep(delay)
                await connection.send('{"type":"transcription.done","text":"x"}')


# Finding a server


def test_model_is_asked_for_once(start: Start) -> None:
    site = Site()
    with serving(answer=site) as url:
        run = start()
        host = run.servers.host(url, VLLM, "")
        assert run.servers.host(url, VLLM, "") is host
    assert (host.model, host.version) == ("fake", "")
    assert host.cold is None
    assert site.asked == ["/health", "/v1/models", "/version"]


def test_named_model_is_not_asked_for(start: Start) -> None:
    site = Site()
    with serving(answer=site) as url:
        assert start().servers.host(url, VLLM, "mine").model == "mine"
    assert site.asked == ["/health", "/version"]


def test_version_is_asked_for_and_kept_with_each_trace(start: Start) -> None:
    site = Site(version="0.33.1.dev5+g1a2b3c")
    with serving(Talk(0.0), answer=site) as url:
        run = start(options(pace="0"))
        run.begin("test")
        server = realtime(run, url)
        take = server.transcribe(CLIP)
    assert server.plan.version == take.trace.version == "0.33.1.dev5+g1a2b3c"
    assert run.servers.last_host is not None
    assert run.servers.last_host.version == "0.33.1.dev5+g1a2b3c"


def test_named_version_is_not_asked_for(start: Start) -> None:
    site = Site(version="0.33.0")
    with serving(answer=site) as url:
        run = start(options(server_version="0.22"))
        assert run.servers.plan(url, terms(run), {}).version == "0.22"
    assert site.asked == ["/health", "/v1/models"]


def test_ask(start: Start) -> None:
    with serving(answer=Site()) as url:
        shown, model = start().servers.ask(url + "/?key=hidden", VLLM)
    assert (shown, model) == (f"{url.replace('http', 'ws')}/v1/realtime", "fake")


def test_waits_for_a_server_that_loads(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PAUSE", 0.05)
    site = Site(503, 503, 502)
    with serving(answer=site) as url:
        with pytest.raises(Unreachable, match="still loading"):
            start().servers.host(url, VLLM, "")
        assert start(options(wait="30")).servers.host(url, VLLM, "").model == "fake"
    assert site.health == []


def test_dead_server_is_not_asked_again(start: Start) -> None:
    site = Site(500, 200)
    with serving(answer=site) as url:
        run = start()
        for _ in range(2):
            with pytest.raises(Unreachable, match="HTTP 500"):
                run.servers.host(url, VLLM, "")
    assert site.asked == ["/health"]


def test_access(start: Start) -> None:
    key = {"REALTIME_API_KEY": "hush"}
    with faking(key="hush") as (url, _):
        with pytest.raises(Unreachable, match="REALTIME_API_KEY") as caught:
            start(options({"REALTIME_API_KEY": "hash"})).servers.host(url, VLLM, "")
        assert "hash" not in str(caught.value)
        run = start(options(key))
        run.begin("test")
        found = realtime(run, url).transcribe(CLIP)
    assert found.text == CLIP.text
    assert "hush" not in repr(run.servers.plan(url, terms(run), {}))


# By what a server is judged


def rule(id: str, **changes: Any) -> Requirement:
    """A requirement that holds for every session, and that none meets."""

    def judge(evidence: Evidence) -> Violated:
        return Violated("never", ())

    given: dict[str, Any] = {"level": Level.MUST, "passive": True, **changes}
    return Requirement(id=id, title=f"{id}.", clause="ours", check=judge, **given)


class Strict:
    """The dialect with other requirements."""

    name = "vllm"

    def __init__(self, *requirements: Requirement) -> None:
        self.requirements = requirements

    def __getattr__(self, name: str) -> object:
        return getattr(VLLM, name)


def strict(*requirements: Requirement) -> Dialect:
    return cast(Dialect, Strict(*requirements))


def levels(found: Iterable[Requirement]) -> dict[str, Level]:
    return {each.id: each.level for each in found}


@pytest.mark.parametrize(
    ("version", "held"),
    [
        ("0.21.9", ["always", "until"]),
        ("0.22.0", ["always", "since", "until"]),
        ("0.33.1.dev5+g1a2b3c", ["always", "since"]),
        ("", ["always", "since"]),
        ("main", ["always", "since"]),
    ],
)
def test_a_server_is_judged_by_what_holds_for_its_version(
    start: Start, version: str, held: list[str]
) -> None:
    dialect = strict(
        rule("always"), rule("since", since="0.22"), rule("until", until="0.33")
    )
    assert list(levels(start().servers.rules(dialect, version, "m"))) == held


def test_a_pinned_suite_says_what_binds_the_server(start: Start) -> None:
    pinned = {"one": Level.SHOULD, "two": Level.MUST, "gone": Level.MUST}
    config = replace(options(), pinned=PinnedSuite("old", "vllm", pinned))
    dialect = strict(
        rule("one", scenarios=("a",)),
        rule("two", scenarios=("a",), since="0.40"),
        rule("new", scenarios=("a",)),
        rule("client", binds=Sender.CLIENT),
    )
    found = levels(start(config).servers.rules(dialect, "0.33.0", "m"))
    assert found == {"one": Level.SHOULD, "client": Level.MUST}


def test_what_a_server_is_known_to_break_blames_nobody(start: Start) -> None:
    def known(id: str, kind: Expected = Expected.KNOWN, **where: str) -> Known:
        return Known(id, kind, "so it is", "https://x/1", date(2027, 1, 31), **where)

    entries = (
        known("one"),
        known("two", Expected.FLAKY),
        known("three", versions="<0.33"),
        known("four", model="other"),
        known("none of these"),
    )
    run = start(replace(options(), known=entries))
    dialect = strict(*(rule(id) for id in ("one", "two", "three", "four", "five")))
    found = run.servers.rules(dialect, "0.33.0", "m")
    assert levels(found) == {
        "one": Level.INFO,
        "two": Level.INFO,
        "three": Level.MUST,
        "four": Level.MUST,
        "five": Level.MUST,
    }
    assert found[0].title == "one. (known: so it is (https://x/1, until 2027-01-31))"
    other = levels(run.servers.rules(dialect, "0.32.9", "other"))
    assert [id for id in other if other[id] is Level.INFO] == [
        *("one", "two", "three", "four")
    ]


def test_the_rules_of_a_run_reach_its_sessions(start: Start) -> None:
    entry = Known(
        *("known-events", Expected.KNOWN, "so it is", "https://x/1"), date(2027, 1, 31)
    )
    with faking("novelty", "bad-usage") as (url, _):
        run = start(replace(options(), known=(entry,)))
        run.begin("test")
        server = realtime(run, url)
        with server.connect() as session:
            take = session.transcribe(CLIP)
            found = session.violations
        ledger = run.finish()
    assert server.plan.rules == take.rules == run.servers.rules(VLLM, "", "fake")
    assert [(v.requirement.id, v.requirement.level) for v in found] == [
        ("known-events", Level.INFO),
        ("usage-adds-up", Level.MUST),
    ]
    assert take.violations == found
    assert ledger is not None
    assert ledger.violations == found


# Warming up


def warmed(start: Start, talk: Talk, **given: str) -> tuple[int, float | None, str]:
    with serving(talk, answer=Site()) as url:
        run = start(options(None, pace="0", **given))
        host = run.servers.host(url, VLLM, "")
        run.servers.host(url, VLLM, "")
    return talk.sessions, host.cold, host.note


def test_no_warm_up(start: Start) -> None:
    assert warmed(start, Talk(0.0), warmup="0") == (0, None, "")


def test_number_of_warm_ups(start: Start) -> None:
    sessions, cold, note = warmed(start, Talk(0.0), warmup="3")
    assert sessions == 3
    assert cold is not None
    assert note == ""


@pytest.mark.slow
def test_warm_up_ends_in_agreement(start: Start) -> None:
    sessions, cold, _ = warmed(start, Talk(0.7, 0.3), warmup="auto")
    assert 3 <= sessions <= WARMUPS
    assert cold is not None
    assert cold >= 700  # the first is the cold one


@pytest.mark.slow
def test_warm_up_gives_up_on_agreement(start: Start) -> None:
    sessions, _, note = warmed(start, Talk(0.6, 0.0, 0.6, 0.0, 0.6), warmup="auto")
    assert sessions == WARMUPS
    assert note == ""


def test_warm_up_that_fails_is_noted(start: Start) -> None:
    sessions, cold, note = warmed(start, Talk(-1.0), warmup="auto")
    assert (sessions, cold) == (1, None)
    assert note.startswith("the warm-up failed: the server closed with code 1011: no ")


def test_warm_up_with_a_final_from_before_its_commit_is_noted(start: Start) -> None:
    with faking("final-first") as (url, _):
        host = start(options(None, pace="8", warmup="auto")).servers.host(url, VLLM, "")
    assert host.cold is None
    assert host.note == "the warm-up failed: final from before its commit"


def test_warm_up_that_is_refused(start: Start) -> None:
    def answer(request: Request) -> Response | None:
        known = {"/health": plain(200), "/v1/models": plain(200, MODELS)}
        return known.get(request.path, plain(404))

    with serving(answer=answer) as url:
        run = start(options(warmup="auto"))
        for _ in range(2):
            with pytest.raises(Unreachable, match="is the path right") as caught:
                run.servers.host(url, VLLM, "")
        assert caught.value.status == 404


def test_no_warm_up_without_words(start: Start) -> None:
    silent = Corpus("silent", (replace(CLIP, text=""),))
    with serving(Talk(0.0), answer=Site()) as url:
        run = Run(options(warmup="auto"), lambda: silent, shared=None)
        host = run.servers.host(url, VLLM, "")
        run.stop()
    assert (host.cold, host.note) == (
        None,
        "no warm-up: no utterance of the corpus has a text",
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [("cut-short.flac", "no warm-up: .*cut-short.flac: "), ("tone.flac", "^$")],
)
def test_a_warm_up_with_broken_audio_is_noted(name: str, said: str) -> None:
    clip = replace(CLIP, source=FIXTURES / "audio" / name, words=())
    with serving(Talk(0.0), answer=Site()) as url:
        run = Run(options(warmup="1"), lambda: Corpus("own", (clip,)), shared=None)
        note = run.servers.host(url, VLLM, "").note
        run.stop()
    assert re.search(said, note)
    assert len(note.splitlines()) < 2


def test_a_warm_up_keeps_the_timeout(start: Start) -> None:
    """The answer that it does not wait for comes five times as late."""
    sessions, cold, note = warmed(start, Talk(1.5), warmup="auto", timeout="300ms")
    assert (sessions, cold) == (1, None)
    assert re.search(r"the warm-up failed: waited 0\.\d s for the final of utt", note)
    assert "turn-right" in note


@pytest.mark.parametrize(("long", "noted"), [(0.0, True), (60.0, False)])
def test_a_long_warm_up_says_what_it_waited_for(
    start: Start, monkeypatch: pytest.MonkeyPatch, long: float, noted: bool
) -> None:
    monkeypatch.setattr(warm_up, "LONG_WARMUP", long)
    _, cold, note = warmed(start, Talk(0.0), warmup="2")
    assert cold is not None
    assert (
        bool(re.fullmatch(r"the warm-up took \d s: 2 sessions with turn-right", note))
        is noted
    )
    said = r"the warm-up took \d s: 2 sessions with turn-right" if noted else ""
    assert re.fullmatch(said, note)


def test_an_own_header_takes_the_place_of_the_dialects(start: Start) -> None:
    seen: list[list[str]] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get_all("Authorization"))
        return plain(200)

    given = {"REALTIME_API_KEY": "of-the-dialect", "TOKEN": "of-the-user"}
    with serving(answer=answer) as url:
        run = start(options(given, header=["authorization=TOKEN"], model="m"))
        run.servers.host(url, VLLM, "m")
    assert seen == [["of-the-user"]] * 2


# Losing a server


def lose(run: Run, url: str, test: str) -> None:
    run.begin(test)
    with pytest.raises(Lost):
        realtime(run, url).transcribe(CLIP)
    run.finish()


def test_lost_server_is_named_with_its_test(start: Start) -> None:
    site = Site(200, 503, 200)
    with serving(Talk(-1.0), answer=site) as url:
        run = start()
        lose(run, url, "test_it.py::test_last")
        for _ in range(2):
            with pytest.raises(Unreachable) as caught:
                run.servers.host(url, VLLM, "")
            assert "the server was lost at " in str(caught.value)
            assert " UTC in test_it.py::test_last: " in str(caught.value)
            assert "HTTP 503" in str(caught.value)
        assert site.health == [200]  # it was not asked again


def test_server_recovers(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PAUSE", 0.05)
    site = Site(200, 503, 503, 200)
    with serving(Talk(-1.0, 0.0), answer=site) as url:
        run = start(options(recover="30"))
        lose(run, url, "test_one")
        run.begin("test_two")
        assert realtime(run, url).transcribe(CLIP).text == "x"
        assert site.health == []
        run.finish()
        asked = len(site.asked)
        run.servers.host(url, VLLM, "")
        assert not any("health" in path for path in site.asked[asked:])


def test_the_target_goes_on_where_its_baseline_is_lost(start: Start) -> None:
    warned: list[str] = []
    site = Site(200, 503)
    with (
        serving(Talk(0.0), answer=Site()) as url,
        serving(Talk(-1.0, 0.0), answer=site) as other,
    ):
        run = start()
        run.warn = warned.append

        def spoken(test: str) -> list[str]:
            run.begin(test)
            baseline = run.servers.plan(other, terms(run), {}, baseline=True)
            plan = run.servers.plan(url, terms(run), {})
            assert plan.access.target.http == url
            both = Realtime(run, plan, terms(run), baseline=baseline)
            assert both.transcribe(CLIP).text == "x"
            ledger = run.finish()
            assert ledger is not None
            return [t.lost for t in ledger.takes if t.purpose is Purpose.BASELINE]

        assert spoken("test_one") == ["closed"]
        assert spoken("test_two") == [""]  # it is asked although its health failed
        assert len(warned) == 1
        assert warned[0].startswith("realtime baseline target: the server was lost at ")
        assert f" in test_one: {other}/health: HTTP 503" in warned[0]
        assert site.health == []


# Several workers


def test_one_finds_and_the_other_recalls(start: Start, tmp_path: Path) -> None:
    site, talk = Site(version="0.33.0"), Talk(0.0)
    with serving(talk, answer=site) as url:
        given = options(warmup="2", pace="0")
        one, two = (start(given, shared=tmp_path) for _ in range(2))
        found, recalled = (
            one.servers.host(url, VLLM, ""),
            two.servers.host(url, VLLM, ""),
        )
    assert recalled == found
    assert found.version == "0.33.0"
    assert found.cold is not None
    assert talk.sessions == 2
    asked = [site.asked.count(path) for path in ("/health", "/v1/models", "/version")]
    assert asked == [1, 1, 1]
    assert (one.shared, start().shared) == (True, False)


def test_both_know_that_it_is_dead(start: Start, tmp_path: Path) -> None:
    site = Site(500)
    with serving(answer=site) as url:
        for _ in range(2):
            with pytest.raises(Unreachable, match="HTTP 500"):
                start(shared=tmp_path).servers.host(url, VLLM, "")
    assert site.asked == ["/health"]


def test_nothing_secret_is_shared(start: Start, tmp_path: Path) -> None:
    with faking(key="hush-hush") as (url, _):
        run = start(options({"REALTIME_API_KEY": "hush-hush"}), shared=tmp_path)
        run.servers.host(url + "/?token=hidden", VLLM, "")
    files = [file.read_bytes() for file in tmp_path.iterdir()]
    assert any(b'"model":"fake"' in data for data in files)
    assert not any(b"hush" in data or b"hidden" in data for data in files)


@pytest.mark.parametrize("parallel", [False, True])
def test_turns(start: Start, url: str, tmp_path: Path, parallel: bool) -> None:
    given = options(parallel="true" if parallel else "false")
    one, two = (start(given, shared=tmp_path) for _ in range(2))
    events: list[str] = []
    taken = threading.Event()

    def first() -> None:
        one.begin("one")
        server = realtime(one, url)
        server.transcribe(CLIP)
        taken.set()
        time.sleep(0.2)
        server.transcribe(CLIP)
        events.append("one")
        one.finish()

    def second() -> None:
        assert taken.wait(10)
        two.begin("two")
        with realtime(two, url).connect():
            events.append("two")
        two.finish()

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert events == (["two", "one"] if parallel else ["one", "two"])


def test_a_test_that_ended_while_it_waited_keeps_no_turn(
    start: Start, tmp_path: Path
) -> None:
    one, two, three = (start(shared=tmp_path) for _ in range(3))
    for name, run in (("one", one), ("two", two), ("three", three)):
        run.begin(name)
    one.take_turn(one.ledger)
    late = two.ledger
    waiting = threading.Thread(target=lambda: two.take_turn(late))
    waiting.start()
    time.sleep(0.1)
    two.finish()
    one.finish()
    waiting.join(20)
    assert late.turn.taken is False
    last = threading.Thread(target=lambda: three.take_turn(three.ledger))
    last.start()
    last.join(20)
    assert not last.is_alive()
    assert three.ledger.turn.taken


def test_no_test_measures_while_another_occupies_the_server(
    start: Start, url: str
) -> None:
    run = start()
    run.begin("test")
    server = realtime(run, url)
    events: list[str] = []

    def measure() -> None:
        with server.connect():
            events.append("opened")
        server.transcribe(CLIP)
        events.append("spoken")

    run.turns.occupy()
    thread = threading.Thread(target=measure)
    thread.start()
    try:
        time.sleep(0.2)
        events.append("vacated")
    finally:
        run.turns.vacate()
    thread.join(20)
    assert events == ["vacated", "opened", "spoken"]


def test_who_occupies_waits_for_who_does(start: Start) -> None:
    """And anybody may vacate."""
    run = start()
    events: list[str] = []

    def second() -> None:
        run.turns.occupy()
        events.append("second")
        run.turns.vacate()

    run.turns.occupy()
    thread = threading.Thread(target=second)
    thread.start()
    time.sleep(0.1)
    events.append("first")
    other = threading.Thread(target=run.turns.vacate)
    other.start()
    for each in (thread, other):
        each.join(20)
    assert events == ["first", "second"]
    run.turns.occupy()
    run.turns.vacate()


# Whose session it is


def test_sessions_belong_to_the_running_test(start: Start, url: str) -> None:
    run = start()
    told: list[tuple[str, Transcription]] = []
    run.sinks.append(lambda test, take: told.append((test, take)))
    with pytest.raises(RuntimeError, match="while a test runs"):
        realtime(run, url)
    assert run.finish() is None
    run.begin("first")
    server = realtime(run, url)
    server.transcribe(CLIP)
    session = server.connect().open()
    ledger = run.finish()
    assert ledger is not None
    assert run.finish() is None
    assert (ledger.test, len(ledger.sessions), len(ledger.takes)) == ("first", 2, 1)
    recordings = [live.recording for live in ledger.sessions]
    assert [each.trace.end.how for each in recordings] == [Ending.CLOSED_BY_US] * 2
    assert [each.trace for each in recordings] == [
        live.trace for live in ledger.sessions
    ]
    assert [live.recording for live in ledger.sessions] == recordings
    assert ledger.takes[0].recording is recordings[0]  # it was read once
    with pytest.raises(Lost, match="closed by us"):
        session.send_raw("too late")
    run.begin("second")
    for late in (session.transcribe, server.transcribe):
        with pytest.raises(RuntimeError, match="first has ended"):
            late(CLIP)
    ledger = run.finish()
    assert ledger is not None
    assert not ledger.sessions
    assert not ledger.takes
    assert [(test, take.text) for test, take in told] == [("first", CLIP.text)]


# What a test holds


def test_session(start: Start, url: str) -> None:
    run = start()
    run.begin("test")
    server = realtime(run, url)
    assert server.run is run
    assert server.plan.model == "fake"
    assert server.target == f"{url.replace('http', 'ws')}/v1/realtime"
    assert (server.model, server.dialect) == ("fake", "vllm")
    with server.connect() as session:
        first = session.transcribe(CLIP)
        again = session.transcribe(ENGLISH["digits-four"])
        assert session.id.startswith("sess-")
        assert (first.item, again.item) == (0, 1)
        assert (first.text, again.text) == (CLIP.text, "four two seven one")
        assert session.violations == ()
        assert session.trace.records
        assert len(session.timeline.item(1).heard) > 10
    with server.connect(configure=False) as session:
        session.send_raw({"type": "input_audio_buffer.commit"})
        error = session.expect("error", timeout=5)
        assert isinstance(error, Error)
        assert error.code == "model_not_validated"
        session.configure()
        session.close()
        session.close()
    with server.connect(model="other") as session:
        with pytest.raises(Lost, match="model_not_found") as caught:
            session.transcribe(CLIP)
        assert caught.value.how == "refused"
        assert caught.value.__cause__ is None
    with server.connect(options={"language": "en"}) as session:
        session.transcribe(CLIP)
        sent = [record.text or "" for record in session.trace.records]
        assert any('"language":"en"' in text for text in sent)
    ledger = run.finish()
    assert ledger is not None
    assert [take.lost for take in ledger.takes] == ["", "", "refused", ""]
    assert all(take.raised for take in ledger.takes)


def test_awaited_session(start: Start, url: str) -> None:
    run = start()
    run.begin("test")
    server = realtime(run, url)

    async def test() -> None:
        async with server.connect() as session:
            assert (await session.transcribe(CLIP)).text == CLIP.text
            await session.send_raw("no JSON")
            assert isinstance(await session.expect("error"), Error)
            await session.configure()
            await session.close()
        assert (await server.aio.transcribe(CLIP)).text == CLIP.text
        both = await server.aio.transcribe([CLIP, CLIP], concurrency=2)
        assert [take.text for take in both] == [CLIP.text] * 2

    asyncio.run(test())
    with server.connect() as session:
        other = session.aio

        async def view() -> str:
            return (await other.transcribe(CLIP)).text

        assert asyncio.run(view()) == CLIP.text
        assert session.id == other.id


def test_many_keep_their_order_and_their_losses(start: Start) -> None:
    clips = [ENGLISH[name] for name in ("turn-right", "open-door", "digits-four")]
    run = start(options(pace="0"))
    with serving(Talk(0.2, -1.0, 0.0), answer=Site()) as url:
        run.begin("test")
        takes = realtime(run, url).transcribe(clips, concurrency=1)
        with pytest.raises(ValueError, match="concurrency is 0"):
            realtime(run, url).transcribe(clips, concurrency=0)
        ledger = run.finish()
    assert [take.utterance.id for take in takes] == [clip.id for clip in clips]
    assert [take.lost for take in takes] == ["", "closed", ""]
    assert [take.raised for take in takes] == [False] * 3
    assert ledger is not None
    assert len(ledger.takes) == 3


def test_concurrency(start: Start) -> None:
    open_now, most = 0, 0

    async def talk(connection: ServerConnection) -> None:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        await Talk(0.3)(connection)
        open_now -= 1

    run = start(options(pace="0", chunk="100ms"))
    with serving(talk, answer=Site()) as url:
        run.begin("test")
        takes = realtime(run, url).transcribe([CLIP] * 5, concurrency=2)
    assert [take.lost for take in takes] == [""] * 5
    assert most == 2


def test_interrupted_test_closes_its_sessions(start: Start, url: str) -> None:
    run = start(options(pace="1"))
    run.begin("test")
    server = realtime(run, url)

    async def test() -> None:
        async with asyncio.timeout(0.5):
            await server.aio.transcribe(CLIP)

    with pytest.raises(TimeoutError):
        asyncio.run(test())
    ledger = run.finish()
    assert ledger is not None
    (live,) = ledger.sessions
    assert live.trace.end.how is Ending.CANCELLED
    assert any(record.span for record in live.trace.records)
    (take,) = ledger.takes
    assert (take.lost, take.raised) == ("cancelled", True)


def test_nobody_listens(start: Start) -> None:
    with closed() as port, pytest.raises(Unreachable, match="cannot connect"):
        realtime(start(), f"http://127.0.0.1:{port}")


def test_shared_answer_is_json(start: Start, tmp_path: Path) -> None:
    run = start(shared=tmp_path)
    with serving(answer=Site()) as url:
        run.servers.host(url, VLLM, "")
    rows: list[Any] = [
        msgspec.json.decode(file.read_bytes())
        for file in tmp_path.iterdir()
        if file.suffix != ".lock"
    ]
    assert rows == [
        {"lost": "", "model": "fake", "version": "", "cold": None, "note": ""}
    ]


# Finding its dialect


def finding(run: Run, url: str) -> Plan:
    return run.servers.plan(url, terms(run), {})


def test_the_dialect_is_found_once(start: Start) -> None:
    with faking() as (url, fake):
        run = start(options(dialect="auto"))
        plans = [finding(run, url) for _ in range(2)]
        assert len(fake.traces()) == 1
    assert {(each.dialect, each.found) for each in plans} == {
        (VLLM, "auto: its first event was session.created")
    }


def test_the_dialect_is_found_once_by_all_workers(start: Start, tmp_path: Path) -> None:
    with faking() as (url, fake):
        found = [
            start(options(dialect="auto"), shared=tmp_path).servers.find(url)
            for _ in range(2)
        ]
        assert len(fake.traces()) == 1
    assert found[0] == found[1]


def test_a_finding_that_was_told_is_not_asked_for(start: Start) -> None:
    with serving(answer=Site()) as url:
        run = start(options(dialect="auto"))
        run.servers.discovered[url] = Discovery("openai", "so it was told")
        plan = finding(run, url)
    assert (plan.dialect.name, plan.found) == ("openai", "auto: so it was told")


def test_without_a_dialect_nothing_is_planned(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "GREETING", 0.1)
    site = Site()
    with serving(answer=site) as url:
        run = start(options(dialect="auto"))
        for _ in range(2):
            with pytest.raises(Unreachable, match="no event within"):
                finding(run, url)
    assert len([path for path in site.asked if "realtime" in path]) == 1
    run = start(options(dialect="auto"))
    with closed() as port, pytest.raises(Unreachable, match="cannot connect"):
        finding(run, f"http://127.0.0.1:{port}")


def test_a_server_that_loads_is_waited_for_first(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PAUSE", 0.05)
    with serving(Talk(0.0), answer=Site(503, 503)) as url:
        assert (
            start(options(dialect="auto", wait="30")).servers.find(url).dialect
            == "vllm"
        )


# A dialect that does not fit


def test_another_dialect_is_told_by_the_first_session(start: Start) -> None:
    with faking() as (url, fake):
        run = start(options(dialect="openai"))
        run.begin("test")
        with pytest.raises(Lost, match="does not speak openai: it sent sess"):
            realtime(run, url).transcribe(CLIP)
        run.finish()
        with pytest.raises(Unreachable, match="use --realtime-dialect=vllm"):
            realtime(run, url)
        assert len(fake.traces()) == 1


def test_another_dialect_is_told_by_the_warm_up(start: Start, tmp_path: Path) -> None:
    with faking() as (url, fake):
        for _ in range(2):
            run = start(options(dialect="openai", warmup="auto"), shared=tmp_path)
            with pytest.raises(Unreachable, match="does not speak openai"):
                realtime(run, url)
        assert len(fake.traces()) == 1


def test_options_that_do_not_fit_are_told_before_anything_is_sent(start: Start) -> None:
    wrong = {"turn_detection": "often"}
    site = Site()
    with serving(answer=site) as url:
        run = start(options(dialect="openai"))
        with pytest.raises(OptionsError, match="do not fit the dialect openai: turn"):
            run.servers.plan(url, terms(run), wrong)
        run = start(with_options(options(dialect="openai"), wrong))
        with pytest.raises(OptionsError):
            run.servers.plan(url, terms(run), {})
    assert site.asked == []


def test_a_key_in_the_query_is_in_no_trace(start: Start) -> None:
    async def talk(connection: ServerConnection) -> None:
        assert connection.request is not None
        await connection.send(CREATED.replace("sess-1", connection.request.path))
        await connection.wait_closed()

    with serving(talk, answer=Site()) as url:
        run = start()
        run.begin("test")
        with realtime(run, f"{url}/?api_key=whisper-whisper").connect() as session:
            trace = session.trace
    assert b"api_key=[removed]" in trace.dumps()
    assert b"whisper" not in trace.dumps()
