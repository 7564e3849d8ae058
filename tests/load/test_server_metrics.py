"""The metrics of a server during a load, from a fake server and from hostile ones."""

from __future__ import annotations

import math
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings, strategies
from websockets.http11 import Request, Response

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.client import target
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.load import server_metrics
from pytest_realtime_asr.load.connection import connection
from pytest_realtime_asr.load.executor import Executor, Message, Shard, ShardEnd
from pytest_realtime_asr.load.level import Level, Sampled
from pytest_realtime_asr.load.runner import Runner
from pytest_realtime_asr.load.server_metrics import (
    Gauge,
    Sampler,
    Source,
    Unreadable,
    known_names,
    left_open,
    parse,
    read,
    source,
)
from pytest_realtime_asr.load.workload import Load
from tests.support.servers import VLLM, closed, faking, plain, plan, serving

LOAD = Load(1, hold=0.1, witnesses=0)
NAMES = {Gauge.RUNNING: "busy", Gauge.KV_CACHE: "cache", Gauge.WAITING: "queue"}


def at(url: str, **options: object) -> Source:
    """Return the source of the metrics at ``/metrics`` of a server."""
    where = target.parse(url, path=VLLM.path)
    return source(VLLM, Access(where, **options), names=NAMES)  # type: ignore[arg-type]


def page(body: str, status: int = 200) -> Callable[[Request], Response]:
    """Return a handler that gives every request this page."""
    return lambda request: plain(status, body.encode())


# The names


def test_the_names_of_a_dialect() -> None:
    assert known_names(VLLM) == {
        Gauge.RUNNING: "vllm:num_requests_running",
        Gauge.WAITING: "vllm:num_requests_waiting",
        Gauge.KV_CACHE: "vllm:kv_cache_usage_perc",
        Gauge.SESSIONS: "vllm:websocket_connections_active",
        Gauge.ALL_SESSIONS: "vllm:websocket_connections_total",
        Gauge.MEMORY: "process_resident_memory_bytes",
    }


def test_the_names_of_a_dialect_without_metrics() -> None:
    known = known_names(dialects.load("openai"))
    assert known == {Gauge.MEMORY: "process_resident_memory_bytes"}


def test_own_names_replace_those_of_the_dialect() -> None:
    names = at("http://127.0.0.1:1").names
    assert names == {**known_names(VLLM), **NAMES}


# The text format


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("busy 3\n", {Gauge.RUNNING: 3.0}),
        ('busy{engine="0"} 3\nbusy{engine="1"} 4', {Gauge.RUNNING: 7.0}),
        ('cache{e="0"} 0.4\ncache{e="1"} 0.7', {Gauge.KV_CACHE: 0.7}),
        ('busy{model="a } b\\" 9"} 2.5e1 1700000000000\n', {Gauge.RUNNING: 25.0}),
        ("# HELP busy x\n# TYPE busy counter\nbusy 1\n", {Gauge.RUNNING: 1.0}),
        ("busy NaN\nqueue 2\ncache +Inf", {Gauge.WAITING: 2.0}),
        ("busy_total 9\nmy_busy 9\nbusy:sum 9", {}),
        ("other }{ !\nbusy\t2\r\n", {Gauge.RUNNING: 2.0}),
        ("", {}),
    ],
)
def test_a_page_is_parsed(text: str, found: dict[Gauge, float]) -> None:
    assert parse(text.encode(), NAMES) == found


def test_one_metric_may_have_two_roles() -> None:
    names = {Gauge.RUNNING: "busy", Gauge.SESSIONS: "busy"}
    assert parse(b"busy 2", names) == {Gauge.RUNNING: 2.0, Gauge.SESSIONS: 2.0}


@pytest.mark.parametrize(
    "line", ["busy", "busy three", "busy{", 'busy{a="1} 2', 'busy{a="1"}']
)
def test_a_broken_line_of_a_required_metric_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="not in Prometheus's text format"):
        parse(f"queue 1\n{line}\n".encode(), NAMES)


LONG = "99" * 2**11
MANY = "busy 1\n" * 2**14


def test_a_message_quotes_little_of_the_server() -> None:
    with pytest.raises(ValueError, match="not in Prometheus's text format") as caught:
        parse(b'busy{a="1",a="\x1b[31m' + b"x" * 4000 + b'"} 1', NAMES)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("text", [f"busy {LONG}", MANY], ids=["line", "lines"])
def test_more_samples_than_are_parsed(text: str) -> None:
    with pytest.raises(ValueError, match="the samples are too long"):
        parse(text.encode(), NAMES)


def test_the_longest_page_of_other_metrics_is_skipped() -> None:
    body = b"other{" + b'a="\\"",' * 2**17 + b"} 1\nbusy 2"
    assert parse(body, NAMES) == {Gauge.RUNNING: 2.0}


@settings(deadline=None, derandomize=True)  # the first example imports the library
@given(strategies.binary(max_size=60))
@example(b" " + b"9" * 400)
@example(b'{"=,"="')
def test_any_bytes_after_a_name_are_a_number_or_an_error(rest: bytes) -> None:
    found: dict[Gauge, float] = {}
    with suppress(ValueError):  # any other exception would end the sampler
        found = parse(b"busy" + rest, NAMES)
    assert all(map(math.isfinite, found.values()))


def test_the_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.parser", None)
    with pytest.raises(ValueError, match=r'pip install "pytest-realtime-asr\[load\]"'):
        parse(b"busy 1", NAMES)


# One reading


def test_a_real_page() -> None:
    with faking() as (url, _):
        found = read(at(url))
    assert found[Gauge.SESSIONS] == 0.0
    assert found[Gauge.ALL_SESSIONS] == 0.0


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("", 404, "/metrics: HTTP 404; give the URL of the metrics"),
        ("", 500, "/metrics: HTTP 500"),
        ("<html>Welcome</html>", 200, "the response does not contain busy"),
        ("busy 1 2 3 x\n", 200, "not in Prometheus's text format"),
    ],
)
def test_a_page_that_cannot_be_read(body: str, status: int, says: str) -> None:
    wanted = {Gauge.RUNNING: "busy"}
    with serving(answer=page(body, status)) as url:
        asked = Source(at(url).access, wanted)
        with pytest.raises(Unreadable) as caught:
            read(asked)
    assert f"{url}/metrics: " in str(caught.value)
    assert says in str(caught.value)


def test_a_port_without_a_server_is_an_error() -> None:
    with closed() as port, pytest.raises(Unreadable, match="/metrics"):
        read(at(f"http://127.0.0.1:{port}"))


def test_a_huge_page_is_cut_at_the_limit() -> None:
    body = "busy 7\n" + "other 1\n" * 2**18
    with serving(answer=page(body)) as url:
        assert read(at(url, max_message=2**16)) == {Gauge.RUNNING: 7.0}


def test_a_number_that_is_cut_is_not_read() -> None:
    body = "busy 7\nqueue 123456\n"
    with serving(answer=page(body)) as url:
        cut = at(url, max_message=len("busy 7\nqueue 123"))
        assert read(cut) == {Gauge.RUNNING: 7.0}


def test_a_metric_beyond_the_limit_is_reported_as_missing() -> None:
    body = "other 1\n" * 2**12 + "busy 1\n"
    with (
        serving(answer=page(body)) as url,
        pytest.raises(Unreadable, match="the first 1024 bytes of the response do"),
    ):
        read(at(url, max_message=2**10))


def test_a_server_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_metrics, "READING", 0.1)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        pytest.raises(Unreadable, match=r"no complete response within 0\.1 s"),
    ):
        read(at(f"http://127.0.0.1:{mute.getsockname()[1]}"))


# The API key


@pytest.mark.parametrize(("own", "sent"), [(True, "Bearer hush"), (False, None)])
def test_only_the_own_server_gets_the_key(own: bool, sent: str | None) -> None:
    seen: list[str | None] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get("Authorization"))
        return plain(200, b"busy 1\n")

    with serving(answer=answer) as url:
        server = url if own else "http://127.0.0.1:1"
        access = Access(
            target.parse(server, path=VLLM.path),
            headers={"Authorization": "Bearer hush"},
        )
        asked = source(VLLM, access, url=f"{url}/own/metrics", names=NAMES)
        assert read(asked) == {Gauge.RUNNING: 1.0}
    assert seen == [sent]


def test_metrics_elsewhere_are_reached_through_the_proxy() -> None:
    server = Access(target.parse("http://127.0.0.1:1", path=VLLM.path))
    assert source(VLLM, server, url="http://gpu-7:9000/metrics").access.proxy is True
    proxied = Access(target.parse("http://gpu-7:1", path=VLLM.path), proxy="http://p:1")
    there = source(VLLM, proxied, url="http://gpu-8:9000/metrics")
    assert there.access.proxy == "http://p:1"
    here = source(VLLM, proxied, url="http://localhost:9000/metrics")
    assert here.access.proxy is None


# A level


def wait(sampler: Sampler, *, readings: int) -> None:
    """Wait until a sampler has this number of readings."""
    deadline = time.monotonic() + 10
    while len(sampler._readings) < readings:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def level(server: Sampled | None, seconds: float = 0.0) -> Level:
    """Return a level without sessions that took this time."""
    return Level(LOAD, 1, datetime(2026, 1, 1, tzinfo=UTC), seconds, (), server=server)


def sampled(url: str, loop: Loop, sessions: int) -> Level:
    """Return a level in which this number of sessions was open."""
    lives = [Live(loop, plan(url)) for _ in range(sessions)]
    sampler = Sampler(source(VLLM, plan(url).access), interval=0.05)
    sampler.start()
    start = time.monotonic()
    for live in lives:
        loop.run(live.open())
    # The next reading may have begun before the last session was open.
    wait(sampler, readings=len(sampler._readings) + 2)
    for live in lives:
        loop.run(live.close())
    seconds = time.monotonic() - start
    return level(sampler.stop(start), seconds)


def test_the_sessions_of_a_level(loop: Loop) -> None:
    with faking() as (url, _):
        result = sampled(url, loop, 3)
    found = result.server
    assert found is not None
    assert found.failed == ""
    times, values = zip(*found.values["sessions"], strict=True)
    assert times[0] < 0 < times[-1]
    assert list(times) == sorted(times)
    assert (values[0], max(values), values[-1]) == (0.0, 3.0, 0.0)
    assert found.values["all_sessions"][-1][1] == 3.0
    assert found.source["sessions"] == "vllm:websocket_connections_active"
    assert left_open(result) == 0.0


def test_sessions_that_are_not_freed(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_metrics, "SETTLING", 0.1)
    with faking("leaks") as (url, _):
        left = left_open(sampled(url, loop, 3))
    assert left is not None
    assert left > 0


def test_a_server_that_frees_its_sessions_late_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_metrics, "_PAUSE", 0.01)
    after = iter([5, 4, 2])
    over = threading.Event()

    def answer(request: Request) -> Response:
        count = next(after) if over.is_set() else 2
        return plain(200, f"vllm:websocket_connections_active {count}\n".encode())

    with serving(answer=answer) as url:
        sampler = Sampler(at(url), interval=60)
        sampler.start()
        over.set()
        found = sampler.stop(0.0)
    assert [value for _, value in found.values["sessions"]] == [2, 5, 4, 2]


@pytest.mark.parametrize(
    ("values", "left"),
    [
        (((-1.0, 2.0), (5.0, 9.0), (10.0, 4.0)), 2.0),
        (((-1.0, 2.0), (10.0, 1.0)), -1.0),
        (((-1.0, 2.0), (9.9, 2.0)), None),  # the server ended with the level
        (((0.0, 2.0), (10.0, 2.0)), None),
        ((), None),
    ],
)
def test_what_is_left_open(
    values: tuple[tuple[float, float], ...], left: float | None
) -> None:
    found = Sampled({"sessions": values} if values else {})
    assert left_open(level(found, 10.0)) == left


def test_nothing_is_known_without_metrics() -> None:
    assert left_open(level(None)) is None


def test_a_server_that_shows_no_sessions() -> None:
    with serving(answer=page("busy 1\n")) as url:
        sampler = Sampler(at(url), interval=60)
        sampler.start()
        found = sampler.stop(0.0)
    assert list(found.values) == ["running"]
    assert "sessions" in found.source


def test_a_server_without_metrics_ends_no_level() -> None:
    with serving(answer=page("", 404)) as url:
        sampler = Sampler(at(url), interval=0.01)
        sampler.start()
        found = sampler.stop(0.0)
    assert found.values == {}
    assert "HTTP 404" in found.failed


def test_a_reading_that_fails_is_counted() -> None:
    statuses = iter([200, 503, 200])
    with serving(answer=lambda _: plain(next(statuses, 200), b"busy 4\n")) as url:
        sampler = Sampler(at(url), interval=0.01)
        sampler.start()
        wait(sampler, readings=2)
        found = sampler.stop(0.0)
    assert found.failed.startswith(f"1 of {1 + len(found.values['running'])} readings")
    assert "HTTP 503" in found.failed
    assert {value for _, value in found.values["running"]} == {4.0}


def test_a_server_that_hangs_delays_the_end_by_one_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_metrics, "READING", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        sampler = Sampler(at(f"http://127.0.0.1:{mute.getsockname()[1]}"))
        sampler.start()
        found = sampler.stop(0.0)
    assert "no complete response within 0.2 s" in found.failed
    assert not sampler._thread.is_alive()


def test_the_interval_is_kept() -> None:
    with serving(answer=page("busy 1\n")) as url:
        sampler = Sampler(at(url), interval=0.1)
        began = time.monotonic()
        sampler.start()
        wait(sampler, readings=4)
        took = time.monotonic() - began
        sampler.stop(began)
    assert took >= 3 * 0.1


# The levels of a runner


class Idle:
    """An executor whose workers report that they have ended, and send nothing.

    With an error, their reports fail.
    """

    slots = 1

    def __init__(self, error: BaseException | None = None) -> None:
        self._error = error

    def start(self, shard: Shard) -> None:
        """Start nothing."""

    def next(self, timeout: float) -> Message | None:
        """Return the report of the only worker."""
        if self._error is not None:
            raise self._error
        return ShardEnd(0)

    def stop(self) -> None:
        """Stop nothing."""


def runner(loop: Loop, url: str, metrics: Source | None, executor: Executor) -> Runner:
    """Return a runner that sends a short clip."""
    clip = Utterance("hum", "", Audio(bytes(3200), 16_000))
    made = plan(url)
    return Runner(loop, made, connection(made), [clip], executor, metrics=metrics)


def test_a_level_has_the_metrics_of_its_server(loop: Loop) -> None:
    with faking() as (url, _):
        result = runner(loop, url, at(url), Idle()).run(LOAD)
    assert result.server is not None
    assert result.server.failed == ""
    assert result.server.values["all_sessions"][0][1] == 1.0  # the clip alone
    assert left_open(result) == 0.0


def test_a_level_without_metrics(loop: Loop) -> None:
    with faking() as (url, _):
        assert runner(loop, url, None, Idle()).run(LOAD).server is None


def test_a_level_that_is_interrupted_ends_its_sampler(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_realtime_asr.load.runner._CUT", 0.0)
    with faking() as (url, _), pytest.raises(KeyboardInterrupt):
        runner(loop, url, at(url), Idle(KeyboardInterrupt())).run(LOAD)
    deadline = time.monotonic() + 10
    while any(thread.name == "server metrics" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
