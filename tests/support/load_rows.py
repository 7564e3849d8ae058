"""Rows and levels of a load that no server has seen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.transcription import Measured
from pytest_realtime_asr.load.level import Level, Witness
from pytest_realtime_asr.load.row import Opened, Row
from pytest_realtime_asr.load.workload import Load, Phase
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.metrics.pacing import ClientState, Counts
from pytest_realtime_asr.trace.records import End, Ending

PUNCTUAL, NO_WITNESS = ClientState(), Witness()
STARTED = datetime(2026, 11, 29, 12, tzinfo=UTC)
_ENDINGS = {
    Loss.NONE: Ending.CLOSED_BY_US,
    Loss.REFUSED: Ending.REFUSED,
    Loss.HUNG: Ending.DEADLINE,
    Loss.FLOODED: Ending.LIMIT,
    Loss.CLOSED: Ending.CLOSED_BY_PEER,
    Loss.BROKE: Ending.BROKEN,
    Loss.CANCELLED: Ending.CANCELLED,
}


def row(
    text: str = "",
    *,
    clip: str = "one",
    session: str = "sess_1",
    stream: int = 0,
    final: float | None = 100.0,
    at: float = 0.0,
    seconds: float = 5.0,
    ended: float | None = None,
    lost: Loss = Loss.NONE,
    how: Ending | None = None,
    code: int | None = None,
    refusal: str | None = None,
    premature: Premature | None = None,
    delay: float = 0.0,
    state: ClientState = PUNCTUAL,
    partials: int = 0,
    phase: Phase = Phase.STEADY,
    first: float | None = 300.0,
) -> Row:
    """Return the row of a session whose audio starts ``at`` s; latencies are in ms."""
    value = None if lost else final
    stop = at + seconds
    return Row(
        stream=stream,
        number=0,
        clip=clip,
        perturbation="",
        phase=phase,
        due=at,
        began=at,
        speech=at,
        planned=stop,
        ended=stop + (value or 0.0) / 1000 if ended is None else ended,
        opened=Opened(STARTED, 0, End(how or _ENDINGS[lost], 0, code)),
        measured=Measured(
            session=session,
            text=text,
            metrics={
                "final_from_commit": value,
                "first_partial_from_speech": None if lost else first,
            },
            premature={} if premature is None else {"final_from_commit": premature},
            counts=Counts(0, 0.0 if lost else seconds, 0, None, None, None),
            usage=None,
            client_state=state,
            scheduling_delay=delay,
        ),
        lost=lost,
        refusal=refusal,
        partials=partials,
    )


def level(
    rows: Iterable[Row],
    *,
    alone: Iterable[Row] = (),
    witness: Witness = NO_WITNESS,
    streams: int = 8,
    number: int = 1,
) -> Level:
    """Return a level with these sessions."""
    return Level(
        load=Load(streams=streams, hold=60.0),
        number=number,
        started=STARTED,
        seconds=60.0,
        rows=tuple(rows),
        alone=tuple(alone),
        witness=witness,
    )
