"""Reads the traces in a folder as recordings, which a fake server can replay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.recorded_session import (
    NotReplayable,
    RecordedSession,
    recorded_session,
)
from pytest_realtime_asr.fake.replay import Recordings
from pytest_realtime_asr.text.number_format import length, several
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.trace.records import Trace

REPLAYED = "replayed"  # the model of a server that replays recordings
_SUFFIX = ".jsonl"


class RecordingsError(ValueError):
    """Raised if traces cannot be replayed; the message names the folder or the file."""


@dataclass(frozen=True, slots=True)
class Found:
    """The traces in a folder or in a file, each with the path of its file."""

    place: Path
    traces: tuple[tuple[Path, Trace], ...]

    @property
    def dialect(self) -> str:
        """The name of the dialect of the traces. Raises `RecordingsError`."""
        names = sorted({trace.dialect for _, trace in self.traces})
        if len(names) > 1:
            raise RecordingsError(
                f"{self.place}: the traces are of the dialects {' and '.join(names)}; "
                "name one of them with --realtime-dialect=NAME"
            )
        return names[0]


def find(place: Path) -> Found:
    """Return the traces in a file, or in a folder and its subfolders.

    A ``.jsonl`` file that is a report, not a trace, is left out.
    Raises `RecordingsError`.
    """
    if not place.exists():
        raise RecordingsError(
            f"{place}: there is no such folder; record sessions with "
            f"--realtime-traces={place} --realtime-trace-keep=all"
        )
    paths = [place] if place.is_file() else sorted(place.rglob(f"*{_SUFFIX}"))
    try:
        traces = [(path, records.read(path)) for path in paths if not _is_report(path)]
    except (OSError, ValueError) as error:
        raise RecordingsError(str(error)) from error
    if not traces:
        raise RecordingsError(
            f"{place}: there is no trace; record sessions with "
            f"--realtime-traces={place} --realtime-trace-keep=all"
        )
    return Found(place, tuple(traces))


def load(found: Found, dialect: dialects.Dialect) -> Recordings:
    """Return the recordings of one dialect.

    The traces of refused connections are left out, since a client that is refused has
    sent no audio. Raises `RecordingsError`.
    """
    own = [each for each in found.traces if each[1].dialect == dialect.name]
    if not own:
        raise RecordingsError(
            f"{found.place}: no trace is of the dialect {dialect.name}; name a dialect "
            "that has traces here: "
            f"{', '.join(sorted({each.dialect for _, each in found.traces}))}"
        )
    sessions: list[RecordedSession] = []
    for path, trace in _merged(own):
        if trace.opened is None:
            continue
        try:
            sessions.append(recorded_session(trace, dialect))
        except NotReplayable as error:
            raise RecordingsError(f"{path}: {error}") from error
    if not sessions:
        raise RecordingsError(
            f"{found.place}: the server refused every connection that was recorded, so "
            "there are no answers to replay; record the sessions again"
        )
    return Recordings(dialect, sessions)


def age(found: Found, now: datetime, *, most: float) -> str:
    """Return a warning about traces older than ``most`` seconds; "" if there are none.

    ``now`` has a time zone.
    """
    started = [trace.started for _, trace in found.traces]
    old = [each for each in started if now - each > timedelta(seconds=most)]
    if not old:
        return ""
    limit = several(round(most / 86400), "day") if most >= 86400 else length(most)
    return (
        f"{found.place}: {len(old)} of {len(started)} recordings are older than "
        f"{limit} (the oldest is of {min(old):%Y-%m-%d}); the server may have changed "
        "since then, so record the sessions again"
    )


def _merged(
    traces: Iterable[tuple[Path, Trace]],
) -> Sequence[tuple[Path, Trace]]:
    """Return each session once, with the descriptions of all of its audio.

    A session with several utterances has a trace for each of them.
    """
    found: dict[datetime, tuple[Path, Trace]] = {}
    for path, trace in traces:
        known = found.get(trace.started)
        if known is None:
            found[trace.started] = path, trace
            continue
        longest = max(known[1], trace, key=lambda each: len(each.records))
        spoken = {each.asset: each for each in (*known[1].spoken, *trace.spoken)}
        merged = replace(longest, spoken=tuple(spoken.values()))
        found[trace.started] = known[0], merged
    return list(found.values())


def _is_report(path: Path) -> bool:
    """Return whether a file is a report in JSON Lines, and not a trace."""
    with path.open("rb") as file:
        return records.is_report(file.readline())
