"""Drains: sessions that are open when their server is shut down."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.fake.faults.drain import HANGING
from pytest_realtime_asr.fake.process import FakeServer
from pytest_realtime_asr.load.drain import (
    Closing,
    Drain,
    DrainedSession,
    Fault,
    Moment,
    drained,
)
from pytest_realtime_asr.report import drain as wording
from pytest_realtime_asr.run.ledger import Ledger
from pytest_realtime_asr.trace.records import End, Ending
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Endpoint,
    Event,
    Final,
    Timeline,
)
from pytest_realtime_asr.verdicts.verdict import Verdict
from tests.support.runs import ENGLISH, Site, Start, options, realtime
from tests.support.servers import CLIP, CREATED, serving

STOP = 2_000_000_000  # ns
LATER = End(Ending.CLOSED_BY_PEER, STOP + 500_000_000, 1001)
CLIPS = [  # short ones, since a drain lasts longer than its longest clip
    replace(clip, source=clip.audio.cut(0, 0.7))
    for clip in (CLIP, ENGLISH["open-door"])
]


def timeline(*events: Event, end: End = LATER) -> Timeline:
    return Timeline(16000, 0, 0, events, end)


def session(*events: Event, end: End = LATER) -> DrainedSession:
    return drained(timeline(*events, end=end), stop=STOP, label="sess-1", clip="clip")


def commit(after: int) -> Commit:
    return Commit(0, STOP + after, STOP + after, STOP + after)


def final(after: int) -> Final:
    return Final(0, STOP + after, "text")


SOUND = session(commit(-5), final(400_000_000))


@pytest.mark.parametrize(
    ("events", "moment"),
    [
        ((), Moment.SPEAKING),
        ((commit(5), final(9)), Moment.SPEAKING),
        ((commit(-5),), Moment.COMPLETE),
        ((commit(-5), final(9)), Moment.COMPLETE),
        ((Endpoint(0, STOP - 5), final(9)), Moment.COMPLETE),
        ((Endpoint(0, STOP + 5), final(9)), Moment.SPEAKING),
        ((commit(-5), final(-2)), Moment.ANSWERED),
    ],
)
def test_the_moment_of_an_utterance_follows_from_its_events(
    events: tuple[Event, ...], moment: Moment
) -> None:
    assert session(*events).moment is moment


@given(st.integers(-STOP, STOP), st.integers(-STOP, STOP))
def test_an_utterance_is_answered_only_after_it_was_complete(
    committed: int, answered: int
) -> None:
    found = session(commit(committed), final(answered)).moment
    assert (found is Moment.ANSWERED) == (answered <= 0)
    assert (found is Moment.COMPLETE) == (committed <= 0 < answered)


@pytest.mark.parametrize(
    ("how", "code", "closing"),
    [
        (Ending.CLOSED_BY_PEER, 1000, Closing.LAWFUL),
        (Ending.CLOSED_BY_PEER, 1001, Closing.LAWFUL),
        (Ending.CLOSED_BY_PEER, 1012, Closing.LAWFUL),
        (Ending.CLOSED_BY_PEER, 1005, Closing.LAWFUL),
        (Ending.CLOSED_BY_PEER, 1011, Closing.ERROR),
        (Ending.BROKEN, None, Closing.BROKEN),
        (Ending.CLOSED_BY_US, 1000, Closing.OPEN),
        (Ending.DEADLINE, None, Closing.OPEN),
    ],
)
def test_the_end_of_a_session(how: Ending, code: int | None, closing: Closing) -> None:
    found = session(commit(-5), end=End(how, STOP + 1, code))
    assert found.closing is closing
    assert (found.closed is None) == (closing is Closing.OPEN)
    assert (found.code is None) == (how is not Ending.CLOSED_BY_PEER)


@pytest.mark.parametrize(
    ("sessions", "faults", "verdict"),
    [
        ([SOUND], {}, Verdict.PASS),
        ([SOUND, session()], {}, Verdict.PASS),  # it was still speaking
        ([SOUND, session(commit(-1))], {Fault.LOST_FINAL: 1}, Verdict.FAIL),
        (
            [SOUND, session(end=End(Ending.BROKEN, STOP + 1))],
            {Fault.BROKEN: 1},
            Verdict.FAIL,
        ),
        (
            [SOUND, session(end=End(Ending.CLOSED_BY_PEER, STOP + 1, 1011))],
            {Fault.WRONG_CODE: 1},
            Verdict.FAIL,
        ),
        (
            [SOUND, session(end=End(Ending.CLOSED_BY_US, STOP + 1, 1000))],
            {Fault.STILL_OPEN: 1},
            Verdict.FAIL,
        ),
        ([session(), session()], {Fault.NONE_COMPLETE: 2}, Verdict.INCONCLUSIVE),
        ([], {Fault.NONE_COMPLETE: 1}, Verdict.INCONCLUSIVE),
    ],
)
def test_the_verdict(
    sessions: list[DrainedSession], faults: dict[Fault, int], verdict: Verdict
) -> None:
    found = Drain(tuple(sessions), grace=30, stop_seconds=0.1)
    assert found.faults == faults
    assert found.verdict is verdict


def test_the_wording() -> None:
    lost = session(commit(-1))
    open_still = session(end=End(Ending.CLOSED_BY_US, STOP + 1, 1000))
    found = Drain((SOUND, lost, open_still), 30, 0.1, accepted=1, refused_after=0.25)
    first, *rest = wording.details(found).splitlines()
    assert first == (
        "drain: 1 of 2 utterances whose audio was complete got no final; 1 of 3 "
        "sessions were still open after the grace of 30 s (speaking: 0 of 1 finals; "
        "complete: 1 of 2 finals, the last after 0.40 s; closed with 1001 x2; new "
        "connections refused after 0.25 s); FAIL"
    )
    assert rest == [
        "  sess-1 (clip): complete at the stop, no final, ended after 0.50 s with code "
        "1001",
        "  sess-1 (clip): speaking at the stop, no final, not closed",
    ]
    alone = Drain((SOUND,), 30, None, accepted=2, failed=("refused: busy",))
    assert wording.summary(alone) == (
        "drain (complete: 1 of 1 finals, the last after 0.40 s; closed with 1001 x1; "
        "all sessions closed after 0.50 s; grace 30 s; stop() had not returned; 2 new "
        "connections accepted, none refused; 1 session lost before the stop: refused: "
        "busy); PASS"
    )


class Stopping:
    """A server with a shutdown that is correct or has a fault.

    A final comes ``delay`` s after its commit. At the stop, the server ends each
    session after its final and closes it with ``code``, ``wait`` s later. ``drops``
    says that it closes at once, ``breaks`` that it sends no close frame.
    """

    def __init__(
        self,
        *,
        delay: float = 0.3,
        code: int = 1001,
        wait: float = 0.0,
        drops: bool = False,
        breaks: bool = False,
    ) -> None:
        self.delay, self.code, self.wait = delay, code, wait
        self.drops, self.breaks = drops, breaks
        self.stopped = threading.Event()

    async def __call__(self, connection: ServerConnection) -> None:
        await connection.send(CREATED)
        begun = asyncio.Event()  # an utterance is open
        talking = asyncio.create_task(self._talk(connection, begun))
        while not self.stopped.is_set() and not talking.done():
            await asyncio.sleep(0.005)
        while begun.is_set() and not talking.done() and not self.drops:
            await asyncio.sleep(0.005)
        await asyncio.sleep(self.wait)
        if self.breaks:
            connection.transport.abort()
        else:
            await connection.close(self.code)
        await talking

    async def _talk(self, connection: ServerConnection, begun: asyncio.Event) -> None:
        while True:
            try:
                frame = await connection.recv()
            except ConnectionClosed:
                return
            if '"final":true' in str(frame):
                await asyncio.sleep(self.delay)
                await connection.send('{"type":"transcription.done","text":"x"}')
                begun.clear()
            elif "commit" in str(frame):
                begun.set()


@contextmanager
def drain_of(
    start: Start, server: Stopping, *, grace: str = "20s", streams: int = 4
) -> Iterator[Drain]:
    run = start(options(pace="1"))
    with serving(server, answer=Site()) as url:
        run.begin("test")
        yield realtime(run, url).drain(
            CLIPS, stop=server.stopped.set, streams=streams, grace=grace
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("server", "fault"),
    [
        (Stopping(drops=True), Fault.LOST_FINAL),
        (Stopping(breaks=True), Fault.BROKEN),
        (Stopping(code=1011), Fault.WRONG_CODE),
    ],
)
def test_a_drain_of_a_faulty_server(
    start: Start, server: Stopping, fault: Fault
) -> None:
    with drain_of(start, server) as found:
        assert list(found.faults) == [fault]
        assert found.verdict is Verdict.FAIL


@pytest.mark.slow
def test_the_grace_is_kept(start: Start) -> None:
    with drain_of(start, Stopping(wait=3.0), grace="500ms", streams=2) as found:
        assert Fault.STILL_OPEN in found.faults
        assert found.seconds is None


def test_wrong_arguments(start: Start, url: str) -> None:
    run = start()
    run.begin("test")
    server = realtime(run, url)
    clips: list[Utterance] = []
    with pytest.raises(ValueError, match="no utterances"):
        server.drain(clips, stop=print)
    with pytest.raises(ValueError, match="streams=0 cannot be used"):
        server.drain(CLIPS, stop=print, streams=0)
    with pytest.raises(ValueError, match="stop=None cannot be called"):
        server.drain(CLIPS, stop=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="grace='0s' is too short"):
        server.drain(CLIPS, stop=print, grace="0s")
    with pytest.raises(ValueError, match="'soon' is not a duration"):
        server.drain(CLIPS, stop=print, grace="soon")


@pytest.mark.slow
def test_an_error_of_stop_reaches_the_test(start: Start) -> None:
    server = Stopping()

    def stop() -> None:
        server.stopped.set()
        raise ProcessLookupError("no such process")

    run = start(options(pace="1"))
    with serving(server, answer=Site()) as url:
        run.begin("test")
        with pytest.raises(ProcessLookupError, match="no such process"):
            realtime(run, url).drain(CLIPS, stop=stop, streams=1, grace="10s")


@contextmanager
def drained_fake(
    start: Start, clips: str, *faults: str
) -> Iterator[tuple[Drain, Ledger]]:
    """Drain a fake server in a process of its own, which gets SIGTERM."""
    named = [word for fault in faults for word in ("--fault", fault)]
    with FakeServer(("--corpus", clips, "--final-delay", "300ms", *named)) as fake:
        run = start(options(pace="1"))
        run.begin("test")
        found = realtime(run, fake.url).drain(
            CLIPS,
            stop=lambda: os.kill(fake.pid, signal.SIGTERM),
            streams=4,
            grace="20s",
        )
        ledger = run.finish()
        assert ledger is not None
        yield found, ledger


@pytest.mark.slow
def test_a_drain_of_a_correct_server(start: Start, clips: str) -> None:
    with drained_fake(start, clips) as (found, ledger):
        assert found.verdict is Verdict.PASS, wording.details(found)
        complete, speaking = found.of(Moment.COMPLETE), found.of(Moment.SPEAKING)
        assert len(found.sessions) == 4
        assert complete
        assert speaking
        assert all(each.final is not None for each in found.sessions)
        assert found.codes == {1001: 4}
        assert found.seconds is not None
        assert found.stop_seconds is not None
        assert found.refused_after is not None
        assert found.failed == ()
        assert ledger.load_findings == [found]
        assert {take.purpose.value for take in ledger.takes} == {"drain"}
        assert not any(take.lost for take in ledger.takes)
        assert ledger.violations == ()


@pytest.mark.slow
def test_a_fake_server_that_drops_finals(start: Start, clips: str) -> None:
    with drained_fake(start, clips, "drain-drops-finals") as (found, _):
        assert list(found.faults) == [Fault.LOST_FINAL], wording.details(found)
        assert found.codes == {1001: 4}


@pytest.mark.slow
def test_a_fake_server_that_hangs_for_five_seconds(start: Start, clips: str) -> None:
    with drained_fake(start, clips, "drain-hangs") as (found, _):
        assert found.verdict is Verdict.PASS, wording.details(found)
        late = [e.closed - e.final for e in found.sessions if e.closed and e.final]
        assert len(late) == 4
        # A final may arrive a little late, so the close can seem a little early.
        assert min(late) > HANGING / 2


@pytest.mark.slow
def test_a_fake_server_that_restarts(start: Start, clips: str) -> None:
    with drained_fake(start, clips, "drain-1012") as (found, _):
        assert found.verdict is Verdict.PASS, wording.details(found)
        assert found.codes == {1012: 4}


@pytest.mark.slow
def test_an_awaited_drain(start: Start) -> None:
    server = Stopping()
    run = start(options(pace="1"))

    async def drain(url: str) -> Drain:
        return await realtime(run, url).aio.drain(
            CLIPS, stop=server.stopped.set, streams=2, grace="20s"
        )

    with serving(server, answer=Site()) as url:
        run.begin("test")
        assert asyncio.run(drain(url)).verdict is Verdict.PASS
