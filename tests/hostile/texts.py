"""Texts that are very long, or made to be slow."""

from __future__ import annotations

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.inbox import flooded
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects.vllm import VLLM
from pytest_realtime_asr.metrics import measure
from pytest_realtime_asr.metrics.accuracy import (
    words,
)
from pytest_realtime_asr.metrics.normalizers import BASIC, Normalizer
from pytest_realtime_asr.metrics.repetition import repeated
from pytest_realtime_asr.report import jsonl
from pytest_realtime_asr.requirements.checks import wordless
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.requirement import Violated
from pytest_realtime_asr.trace.records import End, Ending
from pytest_realtime_asr.trace.timeline import Final, Heard, Partial, Timeline
from tests.hostile import Case
from tests.support.runs import RUN
from tests.support.sessions import created, delta, done, mixed, part, trace_of

CLIP = Utterance("clip", "go forward ten meters", silence(1.0), language="en")


def scored(text: str, *, normalizer: Normalizer | None = None) -> str:
    """Return how a text was scored: errors, normaliser, and reason."""
    found = words(CLIP.text, text, normalizer=normalizer, language="en")
    tail = f"; {found.reason}" if found.reason else ""
    return f"{found.errors.wrong} wrong, by {found.normalizer}{tail}"


def grown(*added: str, kept: int | None = None) -> str:
    """Return some metrics of a session with these deltas."""
    events: list[Heard | Partial | Final] = [Heard(0, 13_000, 1, 1, 1, 32_000)]
    length = 0
    for at, text in enumerate(added, 2):
        start = length if kept is None else min(kept, length)
        events.append(Partial(0, at, start, text))
        length = start + len(text)
    end = End(Ending.CLOSED_BY_US, len(added) + 9)
    timeline = Timeline(13_000, 0, 0, tuple(events), end)
    found = measure(timeline, CLIP)
    return (
        f"{len(timeline.texts)} texts, the last of {len(timeline.text)} characters, "
        f"erasure {found['normalized_erasure']:g}"
    )


def reported(*frames: str) -> str:
    """Return the length of the report line of a session with these frames."""
    trace = trace_of(mixed(*frames))
    session = dialects.part(VLLM, trace)
    take = Transcription(CLIP, session.recording, VLLM, VLLM.requirements)
    return f"a report of {len(jsonl.line('test', take, RUN)) // 1000} kB"


def violated(text: str) -> str:
    """Return the message of a requirement that this text violates."""
    silent = Utterance("silence", "", silence(1.0))
    session = part("silence", created(), delta(text), done(text), spoken={0: silent})
    outcome = wordless("silence")(Evidence((session,)))
    assert isinstance(outcome, Violated)
    return outcome.message


def failing(text: str) -> str:
    raise RuntimeError(f"no \x1b[31mway with {text[:2]}\n")


CASES = (
    Case(
        "english-open-brackets",
        "the server sends 100,000 characters < that are never closed",
        ("4 wrong, by english/",),
        5,
        lambda folder: scored("<" * 100_000),
    ),
    Case(
        "english-open-parentheses",
        "the server sends 100,000 characters ( that are never closed",
        ("4 wrong, by english/",),
        5,
        lambda folder: scored("(" * 100_000),
    ),
    Case(
        "english-blanks",
        "the server sends 100,000 spaces between two words",
        ("2 wrong, by english/",),
        5,
        lambda folder: scored(f"go {' ' * 100_000} forward"),
    ),
    Case(
        "english-fillers",
        "the server sends a filler 60,000 times, which leaves spaces",
        ("0 wrong, by english/",),
        5,
        lambda folder: scored(f"go forward {'um ' * 60_000}ten meters"),
    ),
    Case(
        "english-number",
        "the server sends a number of 5,000 digits",
        ("wrong, by basic/2", "english/", "was not used: AssertionError"),
        5,
        lambda folder: scored("9" * 5_000),
    ),
    Case(
        "english-megabyte",
        "the server sends a text of 300 kB",
        ("wrong, by basic/2", "has 300,004 characters; at most 200,000 are allowed"),
        15,
        lambda folder: scored("go on " * 50_000 + "stop"),
    ),
    Case(
        "english-digits",
        "the server sends 95,000 digits, each a word",
        ("95000 wrong, by english/",),
        15,
        lambda folder: scored("0 7 " * 47_500 + CLIP.text),
    ),
    Case(
        "english-initials",
        "the server sends 190,000 characters of initials that never end",
        ("3 wrong, by english/",),
        10,
        lambda folder: scored("a." * 95_000 + "a ten"),
    ),
    Case(
        "basic-number",
        "the server sends 190,000 digits, then as many groups of digits",
        ("95001 wrong, by basic/2",),
        15,
        lambda folder: scored("1" * 190_000 + " 1.2" * 95_000, normalizer=BASIC),
    ),
    Case(
        "own-normaliser-raises",
        "the user's normaliser raises with control characters",
        ("4 wrong, by basic/2; mine/1 was not used: RuntimeError: no \\x1b[31mway",),
        5,
        lambda folder: scored("", normalizer=Normalizer("mine", "1", failing)),
    ),
    Case(
        "marks-in-a-row",
        "the server sends 200,000 accents in a row, in no order",
        ("wrong, by basic/2",),
        10,
        lambda folder: scored("e" + "\u0301\u0316" * 100_000, normalizer=BASIC),
    ),
    Case(
        "many-deltas",
        "the server sends 12,000 deltas of 6 characters",
        ("12000 texts, the last of 72000 characters, erasure 0",),
        20,
        lambda folder: grown(*["words "] * 12_000),
    ),
    Case(
        "deltas-without-a-blank",
        "the server sends 3,000 deltas of a word that never ends",
        ("3000 texts, the last of 300000 characters, erasure 2999",),
        20,
        lambda folder: grown(*["w" * 100] * 3_000),
    ),
    Case(
        "deltas-of-blanks",
        "the server sends 12,000 deltas of spaces after a word",
        ("12001 texts, the last of 1200004 characters, erasure 0",),
        20,
        lambda folder: grown("word", *[" " * 100] * 12_000),
    ),
    Case(
        "long-report",
        "the server sends 2,000 deltas of 100 characters, and no final",
        ("a report of 20",),
        20,
        lambda folder: reported(created(), *[delta("words " * 16 + "and ")] * 2_000),
    ),
    Case(
        "loops-of-its-own",
        "the server sends phrases that never come three times in a row",
        ("nothing repeated",),
        20,
        lambda folder: (
            repeated(words("", " ".join(f"w{n * n % 9973}" for n in range(3_000))))
            or "nothing repeated"
        ),
    ),
    Case(
        "long-text-in-a-message",
        "the server sends 1 MB of text for silence",
        ("characters left out", "came for an utterance without speech"),
        5,
        lambda folder: violated("thank you " * 100_000)[:700],
    ),
    Case(
        "flood",
        "the server sends 11,000 events while 5 s of audio are sent",
        (
            "more than 10,500 events (the limit is 10,000, plus 100 for each",
            "for each of the 5.0 s of audio sent",
        ),
        5,
        lambda folder: str(flooded(11_000, 0, 5.0)),
    ),
)
