"""No requirement is satisfied by evidence in which nothing could have broken it.

Each requirement of each dialect is checked on servers that do nothing to be judged: the
server sends nothing, refuses every frame or closes immediately, or the client sends no
utterance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from pytest_realtime_asr import dialects
from pytest_realtime_asr.dialects import Dialect, Reaction, Server, can
from pytest_realtime_asr.requirements.capability import Capability
from pytest_realtime_asr.requirements.evidence import Answer, Evidence, Part
from pytest_realtime_asr.requirements.requirement import Satisfied, Undecided
from pytest_realtime_asr.requirements.scenario_steps import Send
from pytest_realtime_asr.trace.records import Ending, Record, Sender, Span, content
from pytest_realtime_asr.trace.timeline import Usage
from tests.support.sessions import CREATED_AT, FIRST, MS, SECOND, trace_of

NAMES = dialects.installed()
UNKNOWN = '{"type":"no.such.event"}'  # which every dialect refuses
SESSIONS = 2  # in each role
Said = tuple[str | bytes, bool]  # a frame of the client, and whether by hand


class Heard:
    """A server's side, and the number of utterances that it has begun."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.begun = 0

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self.server.hear(frame)
        self.begun += reaction.begin
        return reaction


def nothing(server: Heard, record: Record) -> Iterable[str | bytes]:
    return ()


def errors(server: Heard, record: Record) -> Iterable[str | bytes]:
    return server.hear(UNKNOWN).replies


def lawful(server: Heard, record: Record) -> Iterable[str | bytes]:
    """Yield the replies of a correct server whose texts are all empty."""
    reaction = server.hear((record.text or "") if record.data is None else record.data)
    yield from reaction.replies
    if reaction.finish:
        last = max(server.begun - 1, 0)
        yield from server.server.final("", Usage(1, 0, 1, 1.0), last)


def set_up(server: Heard, record: Record) -> Iterable[str | bytes]:
    """Return the replies of a server that answers only set-ups."""
    frame = record.text or ""
    return server.hear(frame).replies if "update" in frame else ()


# What may be satisfied where this and no more has happened, and why.
OPENED = {"closes-are-explained"}  # it might have been ended without a word
GREETED = {  # the greeting might have been another one, or told too much
    *("first-event", "created-now", "session-type", "expires-later"),
    *("expires-within-a-day", "session-transcribes", "event-index"),
    *("unique-ids", "crowd-has-unique-ids", "event-ids-are-unique"),
    *("order", "well-formed", "known-events", "no-stack-trace", "no-secret"),
}
SHOWN = {
    "no-stack-trace",
    "no-secret",
    "plain-http-refused",
}  # on the page, it might be
SET_UP = {  # the set-up was answered, or refused, and might have been otherwise
    *("update-answered", "update-shows-what-holds", "update-keeps-the-rest"),
    *("refused-update-unconfirmed", "refused-fields-unshown"),
    "refused-include-unshown",
    *("errors-name-their-cause", "errors-name-the-field"),
    # What is taken is not answered, and an error might have come.
    *("big-audio-accepted", "overflow-code"),
}
REFUSED = {  # an error is the answer that is wanted, and might have been another one
    *("errors-have-codes", "errors-have-types", "paths-removed"),
    *("update-answered", "commit-answered"),
    *("binary-answered", "oversized-frame-closed", "commit-after-turn-is-wordless"),
    *("unbegun-utterance-answered", "early-utterance-answered"),
    "early-commit-has-no-effect",  # text might have come of what was refused
    "keepalive-is-silent",  # another event might have come than the refusal
    "empty-frame-explained",  # the session might have ended without a word
}
CLOSED = {  # a close with a code is an answer, and there might have been no code
    *("unknown-text-answered", "unknown-message-answered", "bad-config-answered"),
    *("eof-without-space-answered", "empty-frame-explained"),
}


@dataclass(frozen=True)
class Kind:
    """A server: its answers to the frames of the client, and the end of the session.

    ``says`` are the frames that the client sends: "all", "set-up" or "nothing".
    ``page`` is the HTTP status of a plain request. ``earned`` are the requirements that
    may be satisfied nevertheless.
    """

    answers: Callable[[Heard, Record], Iterable[str | bytes]]
    says: str
    how: Ending
    code: int | None = None
    page: int = 0
    greets: bool = True
    opens: bool = True
    earned: frozenset[str] = frozenset()


def kind(
    answers: Callable[[Heard, Record], Iterable[str | bytes]],
    says: str,
    how: Ending,
    *earned: set[str],
    **more: Any,
) -> Kind:
    return Kind(answers, says, how, earned=frozenset().union(*earned), **more)


US, PEER, TIRED = Ending.CLOSED_BY_US, Ending.CLOSED_BY_PEER, Ending.DEADLINE
AWAY = Kind(nothing, "nothing", Ending.REFUSED, greets=False, opens=False)
KINDS: Mapping[str, Kind] = {
    "mute": kind(nothing, "all", US, OPENED, greets=False),
    "mute-for-long": kind(nothing, "all", TIRED, OPENED, greets=False),
    "mute-once-open": kind(nothing, "all", US, OPENED, GREETED),
    "mute-once-set-up": kind(set_up, "all", US, OPENED, GREETED, SET_UP),
    "refuses-all": kind(errors, "all", US, OPENED, GREETED, REFUSED),
    "refuses-all-for-long": kind(errors, "all", TIRED, OPENED, GREETED, REFUSED),
    "closes-at-once": kind(nothing, "nothing", PEER, OPENED, code=1008, greets=False),
    "closes-once-open": kind(nothing, "nothing", PEER, OPENED, GREETED, code=1008),
    "closes-on-all": kind(
        nothing, "all", PEER, OPENED, CLOSED, code=1008, greets=False
    ),
    "no-utterance": kind(lawful, "set-up", US, OPENED, GREETED, SET_UP),
    "has-a-page": kind(nothing, "all", US, OPENED, SHOWN, greets=False, page=404),
    "turns-all-away": replace(AWAY, code=403),
    "not-there": replace(AWAY, code=404),
}
# By an empty text, nothing of texts is shown.
WORDLESS = Kind(lawful, "all", US)
TEXTUAL = {
    *("text-of-speech", "no-repetition", "whole-characters", "no-control-tokens"),
    *("text-while-speaking", "usage-counts", "deltas-are-new", "head-present"),
    *("no-vocabulary-tokens", "no-control-characters", "directions-paired"),
    *("usage-matches", "usage-of-each", "keeps-up"),
    *("tail-present", "pause-loses-nothing", "long-keeps-its-begin"),
}
OUT_OF_TURN = {  # roles of scenarios that send a final, or more, by hand
    *("stray-final", "early-final", "second-final", "late-audio"),
    *("second-begin", "refused-begin", "unbegun", "early-begin"),
    *("huge-json", "big-audio", "oversized", "flood", "slow-reader"),
}


def by_hand(dialect: Dialect, role: str) -> Iterator[str | bytes]:
    """Yield the frames written by hand in the scenario of this name."""
    for misuse in dialect.misuses:
        if misuse.name == role:
            yield from misuse.frames
    for exercise in dialect.exercises:
        if exercise.name == role:
            for step in exercise.steps:
                if isinstance(step, Send):
                    yield from step.frames
    if role in OUT_OF_TURN:
        yield from dialect.caller("m", {}).finish()


def ours(dialect: Dialect, role: str, says: str) -> Iterator[Record]:
    """Yield the frames of a client: a set-up, frames by hand, and an utterance."""
    caller = dialect.caller("m", {})
    sound = dialects.audio_frame(caller, bytes(2 * caller.rate // 10))
    if says == "nothing":
        return
    for frame in caller.configure():
        yield Record(Sender.CLIENT, 0, *content(frame), woke=0)
    if says == "set-up":
        return
    for raw in by_hand(dialect, role):
        if isinstance(raw, bytes):
            yield Record(Sender.CLIENT, 0, data=raw, woke=0, raw=True)
        else:
            yield Record(Sender.CLIENT, 0, raw, woke=0, raw=True)
    for frame in caller.begin():
        yield Record(Sender.CLIENT, 0, *content(frame), woke=0)
    span = Span("clip", 0, caller.rate // 10)
    yield Record(Sender.CLIENT, 0, *content(sound), woke=0, due=0, span=span)
    for frame in caller.finish():
        yield Record(Sender.CLIENT, 0, *content(frame), woke=0)


def session(dialect: Dialect, kind: Kind, role: str, number: int) -> Part:
    """Return a session with a server of this kind."""
    server = dialect.server(["m"])
    opening = tuple(server.open(f"sess-{role}-{number}", CREATED_AT))
    frames = [
        Record(Sender.SERVER, 0, *content(text)) for text in opening if kind.greets
    ]
    heard = Heard(server)
    for record in ours(dialect, role, kind.says):
        frames.append(record)
        replies = kind.answers(heard, record)
        frames += [Record(Sender.SERVER, 0, *content(text)) for text in replies]
    records = []
    for place, record in enumerate(frames, 2):
        woke = None if record.woke is None else place * MS
        due = None if record.due is None else place * MS
        records.append(replace(record, at=place * MS, woke=woke, due=due))
    trace = trace_of(
        records,
        dialect=dialect.name,
        rate=dialect.caller("m", {}).rate,
        how=kind.how,
        code=kind.code,
        reason="so it was",
        **({} if kind.opens else {"opened": None}),
    )
    spoken = {0: (FIRST, SECOND)[number % 2]} if kind.says == "all" else {}
    return dialects.part(dialect, trace, role=role, spoken=spoken)


@cache
def satisfied(name: str, kind: Kind) -> set[str]:
    """Return the ids of the requirements that this kind of server satisfies."""
    dialect = dialects.load(name)
    # Requirements of clients are judged by what the client has said.
    binding = [it for it in dialect.requirements if it.binds is Sender.SERVER]
    roles = {role for each in binding for role in each.scenarios}
    held = {
        role: [session(dialect, kind, role, number) for number in range(SESSIONS)]
        for role in (*roles, "bystander", "fresh")
    }
    pages = (Answer("plain-http", kind.page, "no"),)
    found = set()
    for each in binding:
        seen = dict.fromkeys((*each.scenarios, "bystander", "fresh"))
        parts = tuple(part for role in seen for part in held[role])
        outcome = each.check(Evidence(parts, pages))
        if isinstance(outcome, Undecided):
            assert outcome.reason
        if isinstance(outcome, Satisfied):
            found.add(each.id)
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("of", KINDS)
def test_no_requirement_is_satisfied_without_evidence(name: str, of: str) -> None:
    assert satisfied(name, KINDS[of]) <= KINDS[of].earned


@pytest.mark.parametrize(
    ("of", "earned"),
    [
        ("mute", OPENED),
        ("no-utterance", GREETED),
        ("has-a-page", SHOWN),
        ("mute-once-set-up", SET_UP),
        ("refuses-all", REFUSED),
        ("closes-on-all", CLOSED),
    ],
)
def test_each_exception_is_one(of: str, earned: set[str]) -> None:
    assert earned <= set().union(*(satisfied(name, KINDS[of]) for name in NAMES))


@pytest.mark.parametrize("name", NAMES)
def test_empty_texts_satisfy_no_requirement_on_texts(name: str) -> None:
    found = satisfied(name, WORDLESS)
    assert not found & TEXTUAL
    assert "first-utterance" in found  # its final came
    assert ("usage-adds-up" in found) == can(dialects.load(name), Capability.USAGE)
