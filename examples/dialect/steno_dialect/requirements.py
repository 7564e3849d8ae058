"""The requirements on a server of Steno, and the scenarios that they need."""

from __future__ import annotations

from pytest_realtime_asr.dialect_api import (
    Capability,
    Exercise,
    Level,
    Misuse,
    Outcome,
    Part,
    Proof,
    Recording,
    Requirement,
    Satisfied,
    Sender,
    Speak,
    Undecided,
    Violated,
    checks,
    each,
    order,
    shared,
)
from steno_dialect.events import START, TABLE, End, Interim, Segment

CAPABILITIES = frozenset(
    {
        Capability.EMPTY_UTTERANCES,
        Capability.TYPED_EVENTS,
        Capability.REFUSALS,
        Capability.PARTIALS,
        Capability.SETTLED,
    }
)
_CLAUSE = "Steno 1.0, section "
_ONLY_KNOWN = checks.known_events(Sender.SERVER, ("",))  # no prefix is an extension


def segments_add_up(recording: Recording) -> Outcome:
    """Check that the texts of the segments, joined by spaces, are the text of `end`."""
    texts = []
    for index, message in enumerate(recording.messages):
        match message:
            case Segment(text=text):
                texts.append(text)
            case End(text=text) if text != " ".join(texts):
                joined = " ".join(texts)
                return Violated(f"the segments are {joined!r}, not {text!r}", (index,))
            case End():
                return Satisfied()
    return Undecided("no end came")


def segments_in_order(recording: Recording) -> Outcome:
    """Check that no segment starts before the end of the segment before it."""
    before, judged = 0.0, False
    for index in checks.records(recording, Segment, Sender.SERVER):
        segment = recording.messages[index]
        assert isinstance(segment, Segment)
        if not before <= segment.start <= segment.end:
            return Violated(
                f"a segment is from {segment.start} s to {segment.end} s, and the "
                f"segment before it ends at {before} s",
                (index,),
            )
        before, judged = segment.end, True
    return Satisfied() if judged else Undecided("no segment came")


def no_interim(part: Part) -> Outcome:
    """Check that a session has a final text, and no interim text before it."""
    found = checks.records(part.recording, Interim, Sender.SERVER)
    if found:
        return Violated("an interim came, but interim=no was asked for", tuple(found))
    if not part.text(0):
        return Undecided(f"the session has no text: {checks.why(part)}")
    return Satisfied()


MISUSES = (
    *shared.misuses_for(CAPABILITIES),
    Misuse("odd-bytes", "audio that ends in half a sample", (b"\0",)),
)
EXERCISES: tuple[Exercise, ...] = (
    Exercise(
        "interim-off",
        "an utterance without interim texts",
        (Speak(),),
        options={"interim": False},
    ),
)
REQUIREMENTS = (
    *shared.requirements(
        CAPABILITIES,
        shared.stated(
            "order",
            _CLAUSE + "2",
            each(order(TABLE, start=START)),
            proof=Proof(("two-finals",)),
        ),
        shared.stated(
            "known-events",
            _CLAUSE + "3",
            each(_ONLY_KNOWN),
        ),
        shared.stated("settled-text-stays", proof=Proof(("rewritten-end",))),
        shared.stated("deltas-add-up", _CLAUSE + "3.3", each(segments_add_up)),
    ),
    *shared.binding_clients(
        TABLE, start=START, clauses=(_CLAUSE + "2", _CLAUSE + "3", _CLAUSE + "3")
    ),
    Requirement(
        "odd-bytes-refused",
        "audio that ends in half a sample is refused",
        Level.MUST,
        _CLAUSE + "4: code bad_frame",
        checks.refused("odd-bytes", "half a sample", "bad_frame"),
        scenarios=("odd-bytes",),
        proof=Proof(("tolerant",)),
    ),
    Requirement(
        "segments-in-order",
        "segments do not overlap",
        Level.MUST,
        _CLAUSE + "3.2: segments follow each other in time",
        each(segments_in_order),
        scenarios=("10s",),
        passive=True,
        proof=Proof(("overlapping-segments",)),
    ),
    Requirement(
        "interim-off-obeyed",
        "the option interim=no turns interim texts off",
        Level.SHOULD,
        _CLAUSE + "1: the parameter interim",
        checks.per_session(no_interim, "interim-off"),
        scenarios=("interim-off",),
        proof=Proof(("always-interim",)),
    ),
)
