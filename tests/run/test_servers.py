"""The servers of a run: probed once, lost and recovered, shared by workers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from pytest_realtime_asr.client import probe
from pytest_realtime_asr.client.dialect_detection import Discovery
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import OptionsError, Plan
from pytest_realtime_asr.client.transcription import Purpose
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.load.server_metrics import Gauge, read
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.known_failures import Expected, Known
from pytest_realtime_asr.requirements.pinned_suites import PinnedSuite
from pytest_realtime_asr.requirements.requirement import Level, Requirement, Violated
from pytest_realtime_asr.run.realtime import Realtime
from pytest_realtime_asr.run.run import Run
from pytest_realtime_asr.trace.records import Sender
from tests.support.runs import (
    Site,
    Start,
    Talk,
    options,
    realtime,
    terms,
    with_options,
)
from tests.support.servers import CLIP, CREATED, VLLM, closed, faking, plain, serving


def test_the_model_is_requested_once(start: Start) -> None:
    site = Site()
    with serving(answer=site) as url:
        run = start()
        host = run.servers.host(url, VLLM, "")
        assert run.servers.host(url, VLLM, "") is host
    assert (host.model, host.version) == ("fake", "")
    assert host.cold is None
    assert site.asked == ["/health", "/v1/models", "/version"]


def test_a_named_model_is_not_requested(start: Start) -> None:
    site = Site()
    with serving(answer=site) as url:
        assert start().servers.host(url, VLLM, "mine").model == "mine"
    assert site.asked == ["/health", "/version"]


def test_the_version_is_requested_and_kept_in_each_trace(start: Start) -> None:
    site = Site(version="0.33.1.dev5+g1a2b3c")
    with serving(Talk(0.0), answer=site) as url:
        run = start(options(pace="0"))
        run.begin("test")
        server = realtime(run, url)
        take = server.transcribe(CLIP)
    assert server.plan.version == take.trace.version == "0.33.1.dev5+g1a2b3c"
    assert run.servers.last_host is not None
    assert run.servers.last_host.version == "0.33.1.dev5+g1a2b3c"


def test_a_named_version_is_not_requested(start: Start) -> None:
    site = Site(version="0.33.0")
    with serving(answer=site) as url:
        run = start(options(server_version="0.22"))
        assert run.servers.plan(url, terms(run), {}).version == "0.22"
    assert site.asked == ["/health", "/v1/models"]


def test_ask_returns_the_url_without_its_query_and_the_model(start: Start) -> None:
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


def test_an_unreachable_server_is_not_probed_again(start: Start) -> None:
    site = Site(500, 200)
    with serving(answer=site) as url:
        run = start()
        for _ in range(2):
            with pytest.raises(Unreachable, match="HTTP 500"):
                run.servers.host(url, VLLM, "")
    assert site.asked == ["/health"]


def test_the_metrics_of_a_server_are_found_at_the_server(start: Start) -> None:
    with faking() as (url, _):
        run = start()
        found = run.servers.metrics(run.servers.plan(url, terms(run), {}))
        assert found is not None
        seen = read(found)
    assert found.access.target.http == f"{url}/metrics"
    assert found.names[Gauge.SESSIONS] == "vllm:websocket_connections_active"
    assert seen[Gauge.SESSIONS] == 0.0


def test_metrics_are_not_read_without_their_library(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_realtime_asr.run.servers.is_installed", lambda: False)
    with serving(answer=Site()) as url:
        run = start()
        assert run.servers.metrics(run.servers.plan(url, terms(run), {})) is None


def test_the_metrics_of_a_server_are_found_elsewhere(start: Start) -> None:
    site = Site()
    given = options(metrics_url="http://gpu-7:9/m", metrics_name=["memory=rss"])
    with serving(answer=site) as url:
        run = start(given)
        found = run.servers.metrics(run.servers.plan(url, terms(run), {}))
    assert found is not None
    assert found.access.target.http == "http://gpu-7:9/m"
    assert found.access.headers == {}
    assert found.names[Gauge.MEMORY] == "rss"


def test_a_wrong_key_is_refused_and_no_key_is_shown(start: Start) -> None:
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


def test_a_header_of_the_user_replaces_the_header_of_the_dialect(start: Start) -> None:
    seen: list[list[str]] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get_all("Authorization"))
        return plain(200)

    given = {"REALTIME_API_KEY": "of-the-dialect", "TOKEN": "of-the-user"}
    with serving(answer=answer) as url:
        run = start(options(given, header=["authorization=TOKEN"], model="m"))
        run.servers.host(url, VLLM, "m")
    assert seen == [["of-the-user"]] * 2


# The requirements of a server


def rule(id: str, **changes: Any) -> Requirement:
    """Return a requirement that every session violates."""

    def judge(evidence: Evidence) -> Violated:
        return Violated("never", ())

    given: dict[str, Any] = {"level": Level.MUST, "passive": True, **changes}
    return Requirement(id=id, title=f"{id}.", clause="ours", check=judge, **given)


class Strict:
    """The dialect vllm with other requirements."""

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
def test_a_server_is_judged_by_the_requirements_for_its_version(
    start: Start, version: str, held: list[str]
) -> None:
    dialect = strict(
        rule("always"), rule("since", since="0.22"), rule("until", until="0.33")
    )
    assert list(levels(start().servers.rules(dialect, version, "m"))) == held


def test_a_pinned_suite_selects_the_requirements(start: Start) -> None:
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


def test_a_known_failure_becomes_info(start: Start) -> None:
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


def test_the_target_continues_if_the_baseline_is_lost(start: Start) -> None:
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


def test_a_second_worker_uses_the_answer_of_the_first(
    start: Start, tmp_path: Path
) -> None:
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


def test_both_workers_know_that_the_server_is_unreachable(
    start: Start, tmp_path: Path
) -> None:
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
        {
            "lost": "",
            "model": "fake",
            "version": "",
            "cold": None,
            "note": "",
            "failed": False,
            "models": ["fake"],
            "mute": "",
        }
    ]


def test_nobody_listens(start: Start) -> None:
    with closed() as port, pytest.raises(Unreachable, match="no server was there"):
        realtime(start(), f"http://127.0.0.1:{port}")


# Detecting the dialect


def finding(run: Run, url: str) -> Plan:
    return run.servers.plan(url, terms(run), {})


def test_the_dialect_is_detected_once(start: Start) -> None:
    with faking() as (url, fake):
        run = start(options(dialect="auto"))
        plans = [finding(run, url) for _ in range(2)]
        assert len(fake.traces()) == 1
    assert {(each.dialect, each.found) for each in plans} == {
        (VLLM, "auto: the first event was session.created")
    }


def test_the_dialect_is_detected_once_for_all_workers(
    start: Start, tmp_path: Path
) -> None:
    with faking() as (url, fake):
        found = [
            start(options(dialect="auto"), shared=tmp_path).servers.find(url)
            for _ in range(2)
        ]
        assert len(fake.traces()) == 1
    assert found[0] == found[1]


def test_a_dialect_from_the_controller_is_not_detected_again(start: Start) -> None:
    with serving(answer=Site()) as url:
        run = start(options(dialect="auto"))
        run.servers.discovered[url] = Discovery("openai", "so it was told")
        plan = finding(run, url)
    assert (plan.dialect.name, plan.found) == ("openai", "auto: so it was told")


def test_a_server_without_a_detected_dialect_is_unreachable(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "GREETING", 0.1)
    site = Site()
    with serving(answer=site) as url:
        run = start(options(dialect="auto"))
        for _ in range(2):
            with pytest.raises(Unreachable, match="and sent nothing within"):
                finding(run, url)
    assert len([path for path in site.asked if "realtime" in path]) == 1
    run = start(options(dialect="auto"))
    with closed() as port, pytest.raises(Unreachable, match="no server was there"):
        finding(run, f"http://127.0.0.1:{port}")


def test_the_detection_waits_for_a_server_that_loads(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe, "PAUSE", 0.05)
    with serving(Talk(0.0), answer=Site(503, 503)) as url:
        assert (
            start(options(dialect="auto", wait="30")).servers.find(url).dialect
            == "vllm"
        )


# A dialect that does not fit


def test_the_first_session_reports_another_dialect(start: Start) -> None:
    with faking() as (url, fake):
        run = start(options(dialect="openai"))
        run.begin("test")
        with pytest.raises(Lost, match="does not speak openai: the first event"):
            realtime(run, url).transcribe(CLIP)
        run.finish()
        with pytest.raises(Unreachable, match="use --realtime-dialect=vllm"):
            realtime(run, url)
        assert len(fake.traces()) == 1


def test_the_warm_up_reports_another_dialect(start: Start, tmp_path: Path) -> None:
    with faking() as (url, fake):
        for _ in range(2):
            run = start(options(dialect="openai", warmup="auto"), shared=tmp_path)
            with pytest.raises(Unreachable, match="does not speak openai"):
                realtime(run, url)
        assert len(fake.traces()) == 1


def test_wrong_session_options_are_refused_before_anything_is_sent(
    start: Start,
) -> None:
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
