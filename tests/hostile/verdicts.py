"""Servers that pass a budget by premature events, or by sending nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.loss import Loss
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.corpus import Utterance, Word
from pytest_realtime_asr.report import jsonl, junit, messages, terminal
from pytest_realtime_asr.report.comparison import change_line
from pytest_realtime_asr.requirements.evidence import Answer, Evidence, Part
from pytest_realtime_asr.requirements.requirement import Undecided
from pytest_realtime_asr.run.ledger import RandomOrder
from pytest_realtime_asr.run.results import Results, judge_test
from pytest_realtime_asr.run.terms import Terms
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Ending
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Endpoint,
    Event,
    Final,
    Heard,
    Partial,
    Timeline,
)
from pytest_realtime_asr.verdicts.budgets import Budget, latency_budget
from pytest_realtime_asr.verdicts.comparison import compare
from pytest_realtime_asr.verdicts.limits import parse_margins
from tests.hostile import Case
from tests.support.runs import RUN
from tests.support.sessions import (
    APPEND,
    CREATED,
    FINISH,
    FIRST,
    SPEAK,
    STARTED,
    UPDATE,
    Hand,
    error,
    part,
    unopened,
)

MS, RATE = 1_000_000, 16_000
VLLM = dialects.load("vllm")
# One second of audio: each 100 ms of it is due when it has been spoken, the commit is
# due at 1000 ms. The speech begins at 500 ms and ends at 900 ms.
WORDS = (Word("go", 0.5, 0.7), Word("forward", 0.7, 0.9))
CLIP = Utterance("go-forward", "go forward", silence(1.0), WORDS)
FRAMES = tuple(
    Heard(0, RATE * at // 1000, at * MS, at * MS, at * MS, 3200)
    for at in range(100, 1100, 100)
)
COMMIT = Commit(0, 1000 * MS, 1000 * MS, 1000 * MS)
SESSION = part("it", CREATED, UPDATE).trace


def text(at: int, added: str, kept: int = 0) -> Partial:
    return Partial(0, at * MS, kept, added)


def final(at: int, said: str = "go forward") -> Final:
    return Final(0, at * MS, said)


def endpoint(at: int) -> Endpoint:
    return Endpoint(0, at * MS)


def take(*events: Event, clip: Utterance = CLIP, number: int = 0) -> Transcription:
    """The utterance of a session with these events of the server."""

    def at(event: Event) -> int:
        return event.due if isinstance(event, Heard | Commit) else event.at

    ordered = tuple(sorted((*FRAMES, COMMIT, *events), key=at))
    timeline = Timeline(RATE, 1, 2, ordered, SESSION.end, session=f"sess-{number}")
    trace = replace(SESSION, started=STARTED + timedelta(seconds=number))
    return Transcription(clip, Recording(trace, (), timeline), VLLM)


def many(count: int, *events: Event) -> list[Transcription]:
    clips = (replace(CLIP, id=f"clip-{number}") for number in range(count))
    return [
        take(*events, clip=clip, number=number) for number, clip in enumerate(clips)
    ]


def judged(
    takes: Sequence[Transcription], budget: Budget, order: RandomOrder | None = None
) -> Results:
    """The report of a test with this budget, without requirements."""
    terms = Terms("vllm", "", 1.0, 0.1, budgets=(budget,), rules=None)
    return judge_test("test_it", takes, terms, pools={budget: takes}, order=order)


def verdict(metric: str, *takes: Transcription, **limits: str) -> str:
    """The line of a budget on this metric, of at most 10 s if no limit is given."""
    budget = latency_budget(metric, **(limits or {"max": "10s"}))  # type: ignore[arg-type]
    (line,) = messages.lines(judged(takes, budget))
    return line


def in_order() -> str:
    takes = many(8, final(300))
    budget = latency_budget("final_from_commit", p50="10s")
    return messages.lines(judged(takes, budget, RandomOrder(seed=1, most=40)))[0]


def pooled() -> str:
    takes = [*many(2, final(1200)), take(final(300), number=9)]
    budget = latency_budget("final_from_commit", max="10s", over="module")
    return messages.lines(judged(takes, budget))[0]


def worst_session() -> str:
    found = judged([take(final(300))], latency_budget("final_from_commit", p50="10s"))
    return messages.failures(found)[0].splitlines()[1]


def with_one_lost() -> str:
    hung = replace(take(), lost=Loss.HUNG)
    return verdict("final_from_commit", hung, take(final(300)), p50="10s")


def compared() -> str:
    before = [jsonl.row("test_it", it) for it in many(8, final(1200))]
    now = [jsonl.row("test_it", it) for it in many(8, final(300))]
    (change,) = compare(
        "it", before, now, parse_margins("final_from_commit:20ms")
    ).changes[:1]
    return f"{change_line(change)} ({'fails' if change.failed else 'does not fail'})"


def json_line() -> str:
    row = json.loads(jsonl.line("test_it", take(final(300)), RUN))
    return f"{row['metrics']['final_from_commit']} {row['premature']}"


def read_again(folder: Path) -> str:
    path = folder / "report.jsonl"
    path.write_bytes(jsonl.line("test_it", take(final(300)), RUN))
    (row,) = jsonl.read(path)
    return f"{row.premature['final_from_commit'].value}"


def junit_property() -> str:
    budget = latency_budget("final_from_commit", max="10s")
    found = dict(junit.properties(judged([take(final(300))], budget)))
    return f"p50 {found['realtime.final_from_commit_ms.p50']}"


def table() -> str:
    budget = latency_budget("final_from_commit", max="10s")
    row = terminal.row(
        judged([take(final(300))], budget), model="m", cold=None, note=""
    )
    return next(line for line in terminal.table([row]) if line.startswith("test_it"))


def outcome(
    id: str,
    *parts: Part,
    answers: Iterable[Answer] = (),
) -> str:
    """The reason why a requirement is undecided."""
    requirement = next(each for each in VLLM.requirements if each.id == id)
    found = requirement.check(Evidence(parts, tuple(answers)))
    return found.reason if isinstance(found, Undecided) else repr(found)


EARLY = "with final before its commit"


CASES = (
    Case(
        "final-before-commit",
        "the server sends the final at the third frame of audio",
        (
            "FAIL",
            "final_from_commit max > 10000 ms: 1 of 1 came too early",
            f"1 over, 1 {EARLY}",
        ),
        1,
        lambda _: verdict("final_from_commit", take(final(300))),
    ),
    Case(
        "final-before-commit-from-the-speech",
        "the server sends the final after the speech, but before the commit",
        ("FAIL", "final_from_speech_end max > 10000 ms: 1 of 1 came too early", EARLY),
        1,
        lambda _: verdict("final_from_speech_end", take(final(950))),
    ),
    Case(
        "text-complete-by-an-early-final",
        "the server sends a final during the speech, so that its text is soon complete",
        ("FAIL", "text_complete_from_speech_end max > 10000 ms: 1 of 1 came", EARLY),
        1,
        lambda _: verdict("text_complete_from_speech_end", take(final(700, "go"))),
    ),
    Case(
        "drained-before-the-commit",
        "the server sends a final during the speech, and nothing more",
        ("FAIL", "drain max > 10000 ms: 1 of 1 came too early", EARLY),
        1,
        lambda _: verdict("drain", take(final(700, "go"))),
    ),
    Case(
        "final-before-the-end-of-speech",
        "the server ends the turn during the speech, and sends the final at once",
        (
            "FAIL",
            "> 10000 ms: 1 of 1 came too early",
            "1 with final before the end of speech",
        ),
        1,
        lambda _: verdict("final_from_commit", take(endpoint(600), final(610))),
    ),
    Case(
        "final-before-its-endpoint",
        "the server sends the final, and only then the end of the turn",
        ("FAIL", "> 10000 ms: 1 of 1 came too early", EARLY),
        1,
        lambda _: verdict("final_from_commit", take(final(920), endpoint(930))),
    ),
    Case(
        "text-before-the-speech",
        "the server sends a word at the first frame",
        (
            "FAIL",
            "first_partial_from_speech max > 10000 ms: 1 of 1 came too early",
            "1 with text before the speech",
        ),
        1,
        lambda _: verdict(
            "first_partial_from_speech", take(text(101, "so"), final(1200))
        ),
    ),
    Case(
        "a-dot-at-the-first-frame",
        "the server sends a dot at the first frame, and a word 900 ms after the onset",
        ("FAIL", "first_partial_from_speech max = 900 ms > 800 ms"),
        1,
        lambda _: verdict(
            "first_partial_from_speech",
            take(text(101, "."), text(1400, " go"), final(1500)),
            max="800ms",
        ),
    ),
    Case(
        "right-word-before-the-speech",
        "the server guesses the first word of a known corpus",
        (
            "FAIL",
            "first_correct_word max > 10000 ms: 1 of 1 came",
            "text before the speech",
        ),
        1,
        lambda _: verdict("first_correct_word", take(text(101, "go"), final(1200))),
    ),
    Case(
        "endpoint-before-the-end-of-speech",
        "the server ends the turn too early, and reports no other turn",
        (
            "FAIL",
            "endpoint_delay max > 10000 ms: 1 of 1 came too early",
            "1 with endpoint before the end of speech",
        ),
        1,
        lambda _: verdict("endpoint_delay", take(endpoint(700), final(1200))),
    ),
    Case(
        "premature-beside-lost",
        "one session hangs, and one has its final before the commit",
        ("FAIL", f"2 over, 1 hung, 1 {EARLY}"),
        1,
        lambda _: with_one_lost(),
    ),
    Case(
        "premature-until-decided",
        "each final comes before its commit, and the sessions are judged in order",
        ("FAIL (proven: n=2)", "in order", f"2 {EARLY}", "a good server has at most"),
        1,
        lambda _: in_order(),
    ),
    Case(
        "premature-in-a-pool",
        "one session of a module has its final before the commit",
        ("FAIL", "n=3, 1 over", f"1 {EARLY}"),
        1,
        lambda _: pooled(),
    ),
    Case(
        "premature-among-the-worst",
        "the worst session has its final before the commit",
        ("-700 ms, final before its commit", "go-forward  sess-0"),
        1,
        lambda _: worst_session(),
    ),
    Case(
        "premature-compared",
        "the new server sends each final before its commit",
        (
            "worse: infinitely more > 20.0 ms",
            "final before its commit 0 -> 8",
            "(fails)",
        ),
        5,
        lambda _: compared(),
    ),
    Case(
        "premature-in-json-lines",
        "the final comes before the commit, and the number is read later",
        ("-700.0 ", "'final_from_commit': 'final-before-commit'"),
        1,
        lambda _: json_line(),
    ),
    Case(
        "premature-read-again",
        "the earlier run of a comparison has its final before the commit",
        ("final-before-commit",),
        1,
        read_again,
    ),
    Case(
        "premature-in-junit",
        "the final comes before the commit, and a dashboard shows the median",
        ("p50 inf",),
        1,
        lambda _: junit_property(),
    ),
    Case(
        "premature-in-the-table",
        "the final comes before the commit, and the table shows the median",
        ("never     never", "FAIL"),
        1,
        lambda _: table(),
    ),
    Case(
        "silent-as-it-should-be-and-dead",
        "the server sends nothing at all, also after an unexpected final",
        ("the server sent nothing after a final commit",),
        1,
        lambda _: outcome(
            "stray-final-is-silent", part("stray-final", UPDATE, Hand(FINISH))
        ),
    ),
    Case(
        "every-utterance-refused",
        "the server refuses every utterance, so that none has two finals",
        ("every utterance was ended by an error",),
        1,
        lambda _: outcome(
            "one-final",
            part(
                "utterances", CREATED, UPDATE, *SPEAK, error("busy"), spoken={0: FIRST}
            ),
        ),
    ),
    Case(
        "every-key-refused",
        "the server refuses the right key like the wrong one",
        ("no other session could be opened, so this",),
        1,
        lambda _: outcome(
            "wrong-key-refused",
            unopened("close", code=401),
            unopened("wrong-key", code=401),
        ),
    ),
    Case(
        "nothing-on-the-path",
        "the server has no WebSocket, and refuses plain HTTP like every other request",
        ("no other session could be opened, so this",),
        1,
        lambda _: outcome(
            "plain-http-refused",
            unopened("close", code=404),
            answers=[Answer("plain-http", 404, "")],
        ),
    ),
    Case(
        "closed-before-the-frame",
        "the server closes each session before the frame that it should refuse",
        ("there may be another reason why the server closed with code 1008",),
        1,
        lambda _: outcome(
            "binary-answered",
            part("binary", CREATED, how=Ending.CLOSED_BY_PEER, code=1008),
        ),
    ),
    Case(
        "mute-about-a-path",
        "the server does not answer a frame with a path in it",
        ("no error came after a path was sent to the server",),
        1,
        lambda _: outcome(
            "paths-removed", part("path-in-audio", CREATED, UPDATE, Hand(APPEND))
        ),
    ),
)
