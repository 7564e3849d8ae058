"""Admission limits, which show only in the refusals of a load."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.transcription import Measured
from pytest_realtime_asr.fake.faults.limits import CAP
from pytest_realtime_asr.load.admission import FEW, LEAST, admission
from pytest_realtime_asr.load.connection import connection
from pytest_realtime_asr.load.processes import Processes
from pytest_realtime_asr.load.row import Opened, Row
from pytest_realtime_asr.load.runner import Runner
from pytest_realtime_asr.load.workload import Load, Phase
from pytest_realtime_asr.metrics.pacing import ClientState, Counts
from pytest_realtime_asr.trace.records import End, Ending
from tests.support.servers import CLIP, faking, plan

DONE = End(Ending.CLOSED_BY_US, 0, 1000)
MEASURED = Measured(
    session="",
    text="",
    metrics={},
    premature={},
    counts=Counts(0, 0.0, 0, None, None, None),
    usage=None,
    client_state=ClientState(0.0, 0.0, 0.0, 0.0),
    scheduling_delay=0.0,
)


def row(
    began: float,
    ended: float,
    end: End = DONE,
    lost: Loss = Loss.NONE,
    refusal: str | None = None,
) -> Row:
    """Return the row of a session that was open from ``began`` to ``ended``."""
    opened = None if end.how is Ending.REFUSED else 1
    return Row(
        stream=0,
        number=0,
        clip="clip",
        perturbation="",
        phase=Phase.STEADY,
        due=began,
        began=began,
        speech=began,
        planned=ended,
        ended=ended,
        opened=Opened(datetime(2026, 1, 1, tzinfo=UTC), opened, end),
        measured=MEASURED,
        lost=lost,
        refusal=refusal,
    )


def refused(at: float, status: int = 429) -> Row:
    """Return the row of a session whose handshake was refused."""
    return row(at, at + 0.1, End(Ending.REFUSED, 0, status), Loss.REFUSED)


HELD = [row(0.0, 10.0), row(0.1, 10.0), row(0.2, 10.0)]
REFUSED = [refused(1.0), refused(2.0), refused(3.0), refused(4.0), refused(5.0)]


def test_a_limit_of_three_sessions() -> None:
    finding = admission([*HELD, *REFUSED])
    assert finding is not None
    assert not finding.hard
    assert finding.found == (
        "the server refused 5 of 8 sessions (HTTP 429) while 3 or more were open, and "
        "never held more than 3 at the same time"
    )
    assert "one address or API key" in finding.advice


def test_a_server_that_accepts_all() -> None:
    assert admission(HELD) is None
    assert admission([]) is None


def test_a_few_refusals_are_no_limit() -> None:
    assert admission([*HELD, *REFUSED[: LEAST - 1]]) is None


def test_a_server_that_refuses_everything_has_no_admission_limit() -> None:
    assert admission(REFUSED) is None


def test_refusals_below_the_sessions_held_before_are_no_limit() -> None:
    many = [row(0.0, 10.0) for _ in range(8)]
    assert admission([*many, *REFUSED]) is not None
    assert admission([*many, *REFUSED, refused(11.0)]) is None


@pytest.mark.parametrize(("held", "limited"), [(FEW, True), (FEW + 1, False)])
def test_a_server_that_holds_many_is_not_limited_by_admission(
    held: int, limited: bool
) -> None:
    many = [row(0.0, 10.0) for _ in range(held)]
    assert (admission([*many, *REFUSED]) is not None) is limited


def test_a_session_may_begin_while_the_last_one_ends() -> None:
    next_ones = [row(9.95, 19.0), row(9.95, 19.0), row(9.95, 19.0)]
    finding = admission([*HELD, *next_ones, *REFUSED])
    assert finding is not None
    assert "while 3 or more were open, and never held more than 3" in finding.found


def test_a_session_that_was_never_open_does_not_count() -> None:
    failed = [row(0.0, 9.0, End(Ending.REFUSED, 0), Loss.REFUSED) for _ in range(9)]
    finding = admission([*HELD, *failed, *REFUSED])
    assert finding is not None
    assert "never held more than 3" in finding.found


BY_PEER = End(Ending.CLOSED_BY_PEER, 0, 1013)
BY_US = End(Ending.CLOSED_BY_US, 0, 1000)


@pytest.mark.parametrize(
    ("end", "lost", "refusal", "how"),
    [
        (End(Ending.REFUSED, 0, 503), Loss.REFUSED, None, "HTTP 503"),
        (BY_PEER, Loss.CLOSED, None, "close code 1013"),
        (BY_US, Loss.CLOSED, "too_many_sessions", "the error too_many_sessions"),
        (End(Ending.REFUSED, 0, 401), Loss.REFUSED, None, None),
        (End(Ending.REFUSED, 0, 404), Loss.REFUSED, None, None),
        (End(Ending.REFUSED, 0), Loss.REFUSED, None, None),
        (BY_US, Loss.REFUSED, "invalid_audio", None),
        (End(Ending.BROKEN, 0), Loss.BROKE, None, None),
        (BY_PEER, Loss.NONE, None, None),
        (BY_US, Loss.NONE, "too_many_sessions", None),
    ],
)
def test_the_ways_to_refuse(
    end: End, lost: Loss, refusal: str | None, how: str | None
) -> None:
    rows = [row(at, at + 0.1, end, lost, refusal) for at in (1.0, 2.0, 3.0)]
    finding = admission([*HELD, *rows])
    assert (finding is None) is (how is None)
    if finding is not None:
        assert f"({how})" in finding.found


@pytest.mark.slow
@pytest.mark.parametrize("fault", [None, "caps-by-close"])
def test_a_real_server(loop: Loop, fault: str | None) -> None:
    executor = Processes(1)
    with faking(*filter(None, [fault])) as (url, _):
        made = plan(url)
        runner = Runner(loop, made, connection(made), [CLIP], executor)
        try:
            level = runner.run(Load(8, hold=2.0, witnesses=0, most_errors=1.0))
        finally:
            runner.stop()
    finding = admission(level.rows)
    assert (finding is None) is (fault is None)
    if finding is not None:
        assert f"never held more than {CAP}" in finding.found
