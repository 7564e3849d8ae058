"""Sessions and evidence written by hand, for the tests of checks and judges."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects.vllm import VLLM
from pytest_realtime_asr.fake.faults import Faults
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.trace.records import (
    End,
    Ending,
    Lag,
    Record,
    Sender,
    Span,
    Trace,
    Vantage,
    content,
)
from pytest_realtime_asr.trace.timeline import Usage

CLIENT, SERVER = Sender.CLIENT, Sender.SERVER
MS, S = 1_000_000, 1_000_000_000
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
CREATED_AT = int(STARTED.timestamp())
WAITED = "waited 30.0 s"  # why a session ended at its deadline

FIRST = Utterance("turn-right", "turn right and stop", silence(1.0))
SECOND = Utterance("open-door", "open the front door", silence(1.0))
SILENCE = Utterance("silence", "", silence(1.0))
BOTH = Utterance("both", f"{FIRST.text} {SECOND.text}", silence(2.0))

UPDATE = '{"type":"session.update","model":"m"}'
BEGIN = '{"type":"input_audio_buffer.commit","final":false}'
APPEND = '{"type":"input_audio_buffer.append","audio":"AAAAAA=="}'
FINISH = '{"type":"input_audio_buffer.commit","final":true}'
UPDATED = '{"type":"session.updated"}'
UNKNOWN = '{"type":"input_audio_buffer.clear"}'
NO_JSON = '{"type":,'
SPEAK = (BEGIN, APPEND, APPEND, FINISH)
_OF_CLIENT = re.compile(
    r'"type": ?"(session\.update"|input_audio_buffer)|' + re.escape(NO_JSON)
)


def created(session: str = "sess-1", at: int = CREATED_AT) -> str:
    return json.dumps({"type": "session.created", "id": session, "created": at})


def delta(text: str) -> str:
    return json.dumps({"type": "transcription.delta", "delta": text})


def done(text: str, prompt: int = 2, completion: int = 3, total: int = 5) -> str:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": total,
    }
    return json.dumps({"type": "transcription.done", "text": text, "usage": usage})


def error(code: str | None, text: str = "no") -> str:
    return json.dumps({"type": "error", "error": text, "code": code})


CREATED = created()


@dataclass(frozen=True)
class Hand:
    """A frame that the test writes by hand."""

    frame: str | bytes


Frame = str | bytes | Hand


def ours(frame: str | bytes, at: int, *, raw: bool = False) -> Record:
    """A frame of the client."""
    if isinstance(frame, bytes):
        return Record(CLIENT, at, data=frame, woke=at, raw=raw)
    return Record(CLIENT, at, frame, woke=at, raw=raw)


def mixed(*frames: Frame) -> list[Record]:
    """Return records of these frames, one each millisecond.

    The sender is read from the type of a frame: a text may contain the name of a type.
    """
    records = []
    for number, frame in enumerate(frames, 2):
        at = number * MS
        if isinstance(frame, Hand):
            records.append(ours(frame.frame, at, raw=True))
        elif isinstance(frame, bytes) or _OF_CLIENT.search(frame):
            records.append(ours(frame, at))
        else:
            records.append(Record(SERVER, at, frame))
    return records


def trace_of(records: Iterable[Record], **changes: Any) -> Trace:
    """A trace of these records; ``how``, ``code`` and ``reason`` are of its end."""
    kept = tuple(records)
    end = End(
        changes.pop("how", Ending.CLOSED_BY_US),
        (kept[-1].at if kept else 0) + MS,
        changes.pop("code", None),
        changes.pop("reason", ""),
    )
    lag = Lag(7, (2 * MS,))
    whole = Trace(
        Vantage.CLIENT, "vllm", 16_000, "ws://test", STARTED, MS, kept, end, lag
    )
    return replace(whole, **changes)


def hold(*frames: Frame, faults: Sequence[str] = (), **changes: Any) -> Trace:
    """A session of a client that sends these frames and waits after each of them.

    The server has these faults, and hears "go forward" in each utterance.
    """
    server = Faults(faults).wrap(VLLM.server(["m"]))
    records: list[Record] = []

    def told(texts: Iterable[str | bytes]) -> None:
        for text in texts:
            records.append(Record(SERVER, (len(records) + 2) * MS, *content(text)))

    told(server.open("sess-1", CREATED_AT))
    for frame in frames:
        raw = isinstance(frame, Hand)
        said = frame.frame if isinstance(frame, Hand) else frame
        records.append(ours(said, (len(records) + 2) * MS, raw=raw))
        reaction = server.hear(said)
        told(reaction.replies)
        if reaction.finish:
            for piece in ("go", "", " forward"):
                told(server.partial(piece, 0))
            told(server.final("go forward", Usage(2, 3), 0))
    return trace_of(records, **changes)


def part(
    role: str,
    *frames: Frame,
    spoken: Mapping[int, Utterance] | None = None,
    **changes: Any,
) -> Part:
    """A session of these frames in this role."""
    trace = trace_of(mixed(*frames), **changes)
    return dialects.part(VLLM, trace, role=role, spoken=spoken)


def unopened(role: str, how: Ending = Ending.REFUSED, **changes: Any) -> Part:
    """A session that could not be opened."""
    return part(role, opened=None, how=how, **changes)


def spoke(
    role: str,
    *texts: str | None,
    clips: Sequence[Utterance] = (),
    before: Sequence[Frame] = (UPDATE,),
    name: str = "",
    **changes: Any,
) -> Part:
    """A session in which clips got these texts; ``None`` stands for no final.

    The clips are the first, the second, and the first again, where none are given.
    Without a final the session ends at its deadline.
    """
    frames: list[Frame] = [created(name or f"sess-{role}"), *before]
    for text in texts:
        told = () if text is None else (delta(text), done(text))
        frames += [*SPEAK, *told]
    spoken = dict(enumerate((clips or (FIRST, SECOND, FIRST))[: len(texts)]))
    if None in texts:
        changes = {"how": Ending.DEADLINE, "reason": WAITED, **changes}
    return part(role, *frames, spoken=spoken, **changes)


ALONE = (
    *(spoke("alone", FIRST.text, name=f"sess-{number}") for number in range(4)),
    spoke("alone", SECOND.text, clips=(SECOND,), name="sess-4"),
)


def paced(
    role: str,
    *times: float,
    seconds: float = 10.0,
    pace: float = 1.0,
    late: float = 0.0,
    lag: Lag | None = None,
) -> Part:
    """A session with audio of this length, whose words come at these times.

    The times are in seconds from the start of the utterance. The client sends all audio
    of the second half ``late`` s late. The final comes a second after the audio.
    """
    step, zero = 0.1, 10 * MS
    chunks = round(seconds / step)
    records = [Record(SERVER, 2 * MS, CREATED), ours(UPDATE, 3 * MS), ours(BEGIN, zero)]
    for number in range(1, chunks + 1):
        due = zero + round(number * step / pace * S)
        woke = due + (round(late * S) if 2 * number > chunks else 0)
        span = Span("clip", round((number - 1) * 1600), number * 1600)
        records.append(
            Record(CLIENT, woke, APPEND, due=due, woke=woke, span=span),
        )
    records.append(replace(records[-1], text=FINISH, span=None))
    text = ""
    for at in times:
        records.append(Record(SERVER, zero + round(at * S), delta("word ")))
        text += "word "
    records.sort(key=lambda record: record.at)
    records.append(Record(SERVER, records[-1].at + S, done(text)))
    changes = {} if lag is None else {"lag": lag}
    spoken = {0: Utterance("speech", "", silence(seconds))}
    return dialects.part(VLLM, trace_of(records, **changes), role=role, spoken=spoken)


def misused(name: str, *faults: str) -> Part:
    """A session with this misuse, on a server with these faults."""
    misuse = next(each for each in VLLM.misuses if each.name == name)
    by_hand = tuple(map(Hand, misuse.frames))
    frames: tuple[Frame, ...] = (*by_hand, UPDATE, *SPEAK)
    if misuse.speaking:
        frames = (UPDATE, BEGIN, APPEND, *by_hand, APPEND, FINISH)
    elif misuse.configured:
        frames = (UPDATE, *by_hand, *SPEAK)
    held = hold(*frames, faults=faults)
    return dialects.part(VLLM, held, role=name, spoken={0: FIRST})
