"""The judges of what is the same in every dialect, and that they are fair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.checks import solo_transcripts
from pytest_realtime_asr.requirements.evidence import (
    Answer,
    Evidence,
    Gauges,
    Part,
    SessionFinding,
)
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.text.redaction import REMOVED, Redactor
from pytest_realtime_asr.trace.records import (
    LONGEST,
    Ending,
    Lag,
    Ping,
    Recorder,
    Sender,
    Vantage,
    loads,
)
from tests.support.sessions import (
    ALONE,
    APPEND,
    BEGIN,
    BOTH,
    CREATED,
    FINISH,
    FIRST,
    MS,
    SECOND,
    SILENCE,
    SPEAK,
    UNKNOWN,
    UPDATE,
    WAITED,
    Frame,
    Hand,
    S,
    delta,
    done,
    error,
    paced,
    part,
    spoke,
    unopened,
)
from tests.support.spellings import KEY, SPELLINGS

US, PEER, BROKEN = Ending.CLOSED_BY_US, Ending.CLOSED_BY_PEER, Ending.BROKEN
LATE = Lag(100, (3_000 * MS,))
GOOD = Satisfied()
CLOSED_FIRST = "the client closed the session first"


@dataclass(frozen=True)
class Bad:
    """A violation whose message begins so."""

    message: str


@dataclass(frozen=True)
class Open:
    """Undecided, for a reason that begins so."""

    reason: str


Found = Satisfied | Bad | Open


def held(*parts: Part) -> Evidence:
    return Evidence(parts)


def check(trial: Check, evidence: Evidence | Part, found: Found) -> None:
    if isinstance(evidence, Part):
        evidence = held(evidence)
    outcome: Outcome = trial(evidence)
    match found:
        case Bad(message=start):
            assert isinstance(outcome, Violated), outcome
            assert outcome.message.startswith(start)
        case Open(reason=start):
            assert isinstance(outcome, Undecided), outcome
            assert outcome.reason.startswith(start)
        case _:
            assert outcome == found


# Finals


def begun(*frames: Frame, **changes: object) -> Part:
    """A session in which an utterance was begun, and got no final."""
    whole = (CREATED, UPDATE, BEGIN, APPEND, *frames)
    return part("it", *whole, spoken={0: FIRST}, **changes)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (held(spoke("it", "a", "b")), GOOD),
        (held(spoke("it", "a"), spoke("other", None)), GOOD),
        (held(spoke("it", "a"), spoke("it", "")), GOOD),
        (held(spoke("other", "a")), Open("no session was run for it (it)")),
        (
            held(unopened("it", code=503, reason="HTTP 503")),
            Open("no session could be opened: HTTP 503"),
        ),
        (
            held(spoke("it", "a"), unopened("it", reason="HTTP 503")),
            Open("no utterance could be begun: the session could not be opened: HTTP"),
        ),
        (held(spoke("it", None)), Bad(f"no final of turn-right came: {WAITED}")),
        (held(spoke("it", "a", None)), Bad("no final of open-door came: waited")),
        (
            held(spoke("it", "a"), begun(how=PEER, code=1011, reason="oops")),
            Bad("no final of turn-right came: the server closed with code 1011: oops"),
        ),
        (
            held(begun(how=PEER, code=1000)),
            Bad("no final of turn-right came: the server closed with code 1000"),
        ),
        (
            held(begun(how=BROKEN, reason="reset")),
            Bad("no final of turn-right came: the connection broke off: reset"),
        ),
        (held(begun(how=Ending.LIMIT)), Bad("no final of turn-right came: limit")),
        (
            held(begun()),
            Open("no final of turn-right came: the client closed the session first"),
        ),
        (
            held(begun(how=Ending.CANCELLED, code=1009, reason="our own limit")),
            Open("no final of turn-right came: our own limit"),
        ),
        (
            held(begun(error("no_model", "why"))),
            Bad("no final of turn-right came: refused: why (no_model)"),
        ),
        # What was written by hand is to be refused, and ended no session of ours.
        (held(begun(Hand(UNKNOWN), error("x"))), Open("no final of turn-right came")),
        (
            held(part("it", CREATED)),
            Open(f"no utterance could be begun: {CLOSED_FIRST}"),
        ),
        (
            held(part("it", CREATED, how=PEER, code=1008)),
            Bad("no utterance could be begun: the server closed with code 1008"),
        ),
        (
            held(begun(), spoke("it", "a")),
            Open(f"no final of turn-right came: {CLOSED_FIRST}"),
        ),
        # What is violated weighs more than what is not known.
        (held(begun(), spoke("it", None)), Bad("no final of turn-right came: waited")),
    ],
)
def test_finishes(evidence: Evidence, found: Found) -> None:
    check(checks.finishes("it"), evidence, found)


def test_a_violation_shows_where_it_is() -> None:
    lost, refused = spoke("it", None), begun(error("x"))
    outcome = checks.finishes("it")(held(spoke("it", "a"), lost))
    assert outcome == Violated(
        f"no final of turn-right came: {WAITED}", (len(lost.trace.records) - 1,), 1
    )
    outcome = checks.finishes("it")(held(spoke("it", "a"), refused))
    assert isinstance(outcome, Violated)
    assert (outcome.records, outcome.part) == ((4,), 1)


def test_all_of_several_have_to_hold() -> None:
    good, bad = checks.finishes("a"), checks.finishes("b")
    evidence = held(spoke("a", "text"), spoke("b", None))
    check(checks.both(good, good), evidence, GOOD)
    check(checks.both(good, bad), evidence, Bad("no final of turn-right"))
    check(checks.both(good, checks.finishes("c")), evidence, Open("no session was"))


def empty(*frames: Frame, more: bool = False, **changes: object) -> Part:
    """A session with an utterance without audio, answered so, and maybe another."""
    whole = (CREATED, UPDATE, BEGIN, FINISH, *frames)
    spoken = {0: SILENCE, 1: FIRST} if more else {0: SILENCE}
    return part("empty", *whole, spoken=spoken, **changes)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (empty(done(""), *SPEAK, done("a"), more=True), GOOD),
        (empty(error("x"), *SPEAK, done("a"), more=True), GOOD),
        (empty(error("x")), Open("it was refused, and no utterance was sent after it")),
        (
            empty(error("x"), *SPEAK, more=True, how=Ending.DEADLINE, reason=WAITED),
            Bad("no final of turn-right came: waited"),
        ),
        (
            empty(error("x"), how=PEER, code=1011),
            Bad("no utterance could be begun: the server closed with code 1011"),
        ),
        (empty(how=BROKEN), Bad("no final of silence came: the connection broke off")),
        (spoke("other", "a"), Open("no session was run")),
    ],
)
def test_an_utterance_without_audio_is_answered(evidence: Part, found: Found) -> None:
    check(checks.answers("empty"), evidence, found)


# Others who are there

DONE_TO = part("it", CREATED, how=BROKEN)
BYSTANDER, FRESH = spoke("bystander", "a", "b"), spoke("fresh", "a")
HERE, GONE = Gauges("it", {}), Gauges("it", {}, "no answer within 10 s")


def there(*parts: Part, gauges: Sequence[Gauges] = (HERE,)) -> Evidence:
    return Evidence(parts, gauges=tuple(gauges))


SURVIVED = [
    (there(DONE_TO, BYSTANDER, FRESH), GOOD),
    (there(DONE_TO, FRESH, gauges=()), GOOD),
    (there(BYSTANDER, FRESH), Open("no session was run for it (it)")),
    (there(unopened("it"), BYSTANDER, FRESH), Open("no session could be opened")),
    (
        there(DONE_TO, spoke("bystander", "a", None), FRESH),
        Bad("no final of open-door came: waited"),
    ),
    (
        there(DONE_TO, BYSTANDER, spoke("fresh", None)),
        Bad("no final of turn-right came: waited"),
    ),
    (
        there(DONE_TO, BYSTANDER, unopened("fresh", reason="HTTP 503")),
        Bad("no fresh session could be opened after it: HTTP 503"),
    ),
    (
        there(DONE_TO, BYSTANDER, part("fresh", CREATED)),
        Open("no utterance could be begun: the client closed the session first"),
    ),
    (there(DONE_TO, BYSTANDER), Open("no fresh session was run after it")),
    (
        there(DONE_TO, spoke("bystander", None), gauges=[GONE]),
        Bad("the server is gone: no answer within 10 s"),
    ),
    (there(DONE_TO, BYSTANDER, gauges=[GONE]), Bad("the server is gone")),
    # A busy server may answer late; who is served yet knows that it is there.
    (there(DONE_TO, BYSTANDER, FRESH, gauges=[HERE, GONE]), GOOD),
]


@pytest.mark.parametrize(("evidence", "found"), SURVIVED)
def test_survives(evidence: Evidence, found: Found) -> None:
    check(checks.survives("it"), evidence, found)
    check(checks.random_sessions_pass("it"), evidence, found)  # nothing was found in it


def test_what_was_found_in_a_random_session_is_told() -> None:
    finding = SessionFinding("it", "no final came", "a script")
    evidence = replace(there(FRESH, DONE_TO, DONE_TO), findings=(finding,))
    outcome = checks.random_sessions_pass("it")(evidence)
    assert outcome == Violated("no final came\n\na script", (0,), 1)
    other = replace(evidence, findings=(replace(finding, role="other"),))
    check(checks.random_sessions_pass("it"), other, GOOD)


# Refusals


def mistaken(*frames: Frame, **changes: object) -> Part:
    """A session with frames by hand, and an utterance that got its final."""
    whole = (CREATED, UPDATE, *frames, *SPEAK, done("a"))
    return part("it", *whole, spoken={0: FIRST}, **changes)


TWICE = (Hand(UNKNOWN), Hand(UNKNOWN))


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (mistaken(Hand(UNKNOWN), error("x")), GOOD),
        (mistaken(*TWICE, error("x"), error("y")), GOOD),
        (mistaken(*TWICE, error("y"), error("x"), error("z")), GOOD),
        (mistaken(), Open("it was not sent: closed by us")),
        (unopened("it"), Open("no session could be opened")),
        (mistaken(Hand(UNKNOWN)), Bad("it got no error within the time given")),
        (
            mistaken(*TWICE, error("x")),
            Bad("2 of them got 1 errors within the time given"),
        ),
        # An error that had come before is no answer.
        (mistaken(error("x"), Hand(UNKNOWN)), Bad("it got no error")),
        (
            mistaken(Hand(UNKNOWN), error("z")),
            Bad("it was answered by z, not by x or y"),
        ),
        (
            mistaken(Hand(UNKNOWN), error(None)),
            Bad("it was answered by no code, not by x or y"),
        ),
        (
            part("it", CREATED, Hand(UNKNOWN), how=PEER, code=1011),
            Bad("it was answered by no error: the server closed with code 1011"),
        ),
        (
            part("it", Hand(UNKNOWN), how=Ending.CANCELLED, reason="our own limit"),
            Open("our own limit"),
        ),
        # It is to be outlived, too.
        (
            part("it", CREATED, Hand(UNKNOWN), error("x"), how=PEER, code=1011),
            Bad("no utterance could be begun: the server closed with code 1011"),
        ),
        (
            begun(Hand(UNKNOWN), error("x"), how=Ending.DEADLINE, reason=WAITED),
            Bad("no final of turn-right came: waited"),
        ),
    ],
)
def test_refused(evidence: Part, found: Found) -> None:
    check(checks.refused("it", "it", "x", "y"), evidence, found)


def test_where_no_code_is_asked_for_any_error_will_do() -> None:
    evidence = mistaken(Hand(UNKNOWN), error(None))
    check(checks.refused("it", "it"), evidence, GOOD)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (mistaken(Hand(FINISH)), GOOD),
        (
            part("it", CREATED, UPDATE, Hand(FINISH), *SPEAK),
            Open("the server sent nothing at all after it"),
        ),
        (mistaken(error("x"), Hand(FINISH)), GOOD),
        (mistaken(Hand(FINISH), error("x")), Bad("it was answered by x")),
        (mistaken(Hand(FINISH), error(None)), Bad("it was answered by an error")),
        (mistaken(how=BROKEN), Open("it was not sent: the connection broke off")),
        (spoke("other", "a"), Open("no session was run")),
    ],
)
def test_silent(evidence: Part, found: Found) -> None:
    check(checks.silent("it", "it"), evidence, found)


REFUSED = (Hand(BEGIN), error("x"), Hand(APPEND), Hand(FINISH), error("x"))


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (part("it", CREATED, *REFUSED), GOOD),
        (part("it", CREATED, *REFUSED, delta("a")), Bad("text or a final came")),
        (part("it", CREATED, *REFUSED, done("")), Bad("text or a final came")),
        (part("it", CREATED, Hand(BEGIN), done("a")), Open("nothing was refused")),
        (unopened("it"), Open("no session could be opened")),
    ],
)
def test_unheard(evidence: Part, found: Found) -> None:
    check(checks.starts_nothing("it"), evidence, found)


# Texts: the yardstick

LONG = Utterance("long", " ".join(f"word{n}" for n in range(60)), silence(1.0))
CHINESE = Utterance("park", "今天天气很好我们去公园散步", silence(1.0), language="zh")


def alone(clip: Utterance, *texts: str | None) -> tuple[Part, ...]:
    return tuple(spoke("alone", text, clips=(clip,)) for text in texts)


def changed(clip: Utterance, words: int) -> str:
    """The text of a clip with so many other words at its begin."""
    return " ".join(["other"] * words + clip.text.split()[words:])


def test_the_yardstick_is_the_text_in_the_middle_and_the_noise_is_measured() -> None:
    texts = ("turn right and", "turn right and stop", "turn right and stop it")
    (found,) = solo_transcripts(held(*alone(FIRST, *texts, None))).values()
    assert found.text == "turn right and stop"
    assert found.repeats == texts
    assert (found.words, found.noise) == (4, 1)


def test_the_noise_is_that_of_the_noisiest_clip_of_use() -> None:
    noisy = alone(FIRST, FIRST.text, "turn left and stop")
    useless = alone(BOTH, "nothing of it", "nothing at all")
    found = solo_transcripts(held(*noisy, *useless, *alone(SECOND, SECOND.text)))
    assert {name: each.noise for name, each in found.items()} == {
        FIRST.id: 1,
        SECOND.id: 1,
    }


@pytest.mark.parametrize(
    ("text", "useful"),
    [
        (changed(LONG, 12), True),  # 20 % of the words are wrong
        (changed(LONG, 13), False),
        ("", False),
    ],
)
def test_a_clip_that_is_not_recognised_is_of_no_use(text: str, useful: bool) -> None:
    assert checks.usable(LONG, text) is useful
    assert bool(solo_transcripts(held(*alone(LONG, text)))) is useful
    assert not checks.usable(SILENCE, text)


def test_a_clip_of_which_the_words_are_one_number_is_of_no_use() -> None:
    digits = replace(FIRST, text="four two seven one")
    assert not checks.usable(digits, digits.text)
    assert checks.usable(FIRST, FIRST.text)


@pytest.mark.parametrize(
    ("text", "repeats", "useful"),
    [
        ("yes", ["yes"], False),  # one word may be chance
        ("yes please", ["yes please"], True),
        ("yes please do", ["yes please do"] * 2 + ["yes do"], True),
        ("yes please do", ["yes please do"] * 2 + ["do"], False),
    ],
)
def test_a_clip_that_is_shorter_than_what_is_tolerated_is_of_no_use(
    text: str, repeats: list[str], useful: bool
) -> None:
    clip = Utterance("short", text, silence(1.0))
    assert bool(solo_transcripts(held(*alone(clip, *repeats)))) is useful


@pytest.mark.parametrize(
    ("clip", "repeats", "text", "another"),
    [
        (FIRST, [FIRST.text], FIRST.text, False),
        (FIRST, [FIRST.text], "Turn right, and stop!", False),
        (FIRST, [FIRST.text], "turn left and stop", False),  # one word
        (FIRST, [FIRST.text], "turn left and drop", True),
        (FIRST, [FIRST.text], "", True),
        (FIRST, [FIRST.text] * 2 + ["turn right"], "left", True),
        (FIRST, [FIRST.text] * 2 + ["turn right"], "right", False),  # 2 of noise, 1
        (LONG, [LONG.text], changed(LONG, 3), False),  # 5 %
        (LONG, [LONG.text], changed(LONG, 4), True),
        # In scripts without spaces, characters are counted.
        (CHINESE, [CHINESE.text], "今天天气很好 我们去公园散步。", False),
        (CHINESE, [CHINESE.text], "今天天气很好我们去公园跑步", False),
        (CHINESE, [CHINESE.text], "今天天气很好我们去学校散步", True),
    ],
)
def test_a_text_is_another_one_beyond_noise_and_tolerance(
    clip: Utterance, repeats: list[str], text: str, another: bool
) -> None:
    found = solo_transcripts(held(*alone(clip, *repeats)))[clip.id]
    assert found.differs(text) is another


# Texts: the judges

NO_USE = Open(
    "no clip can be used to compare texts: sent alone, each clip of the corpus has"
)
USELESS = alone(FIRST, "nothing of it")
OTHER, NEARLY = "turn left and drop", "turn left and stop"
ONE_CLIP = alone(FIRST, *[FIRST.text] * 5)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([FIRST.text, FIRST.text], GOOD),
        ([NEARLY, NEARLY], GOOD),
        ([OTHER, OTHER], Bad(f"'{OTHER}' in 2 of 2 repeats, but alone")),
        ([FIRST.text, OTHER], GOOD),  # one of two may be chance
        ([FIRST.text, OTHER, OTHER], Bad(f"'{OTHER}' in 2 of 3 repeats")),
        ([FIRST.text, FIRST.text, OTHER, OTHER], GOOD),
        ([OTHER], Open("fewer than two texts came (it)")),
        ([FIRST.text, None], Open("fewer than two texts came (it)")),
    ],
)
def test_same_text(texts: list[str | None], found: Found) -> None:
    parts = [spoke("it", text, clips=(FIRST,)) for text in texts]
    check(checks.same_text("it"), held(*ALONE, *parts), found)


def test_the_repeats_of_one_clip_may_be_wrong_while_those_of_another_are_right() -> (
    None
):
    right = [spoke("it", FIRST.text)] * 4
    wrong = [spoke("it", "open it", clips=(SECOND,))] * 3
    check(
        checks.same_text("it"),
        held(*ALONE, *right, *wrong),
        Bad("'open it' in 3 of 3 repeats, but alone 'open the front door' (3 of 4"),
    )


@pytest.mark.parametrize(
    "trial",
    [
        checks.same_text("it"),
        checks.kept_apart("it"),
        checks.has_first_word("it"),
        checks.has_last_word("it"),
        checks.has_clip("it"),
        checks.has_both_clips("it"),
    ],
)
def test_no_text_is_judged_without_a_yardstick(trial: Check) -> None:
    check(trial, held(*USELESS, spoke("it", OTHER, OTHER)), NO_USE)
    check(trial, held(spoke("it", OTHER, OTHER)), NO_USE)
    check(trial, held(*ALONE), Open("no session was run for it (it)"))


@pytest.mark.parametrize(
    "trial", [checks.kept_apart("it"), checks.has_both_clips("it")]
)
def test_two_clips_are_needed_to_tell_them_apart(trial: Check) -> None:
    check(trial, held(*ONE_CLIP, spoke("it", FIRST.text)), NO_USE)


LEAK = (
    "'{}' came for 'open the front door': it has words of another utterance, "
    "'turn right"
)


@pytest.mark.parametrize(
    ("text", "leaks"),
    [
        (SECOND.text, False),
        ("", False),  # that is another fault
        ("open", False),
        ("something else altogether", False),
        ("stop open the front door", False),  # one word may be chance
        ("open the front door open the front door", False),
        (FIRST.text, True),
        (f"{FIRST.text} {SECOND.text}", True),
        (f"{SECOND.text} {FIRST.text}", True),
        ("and stop open the front door", True),
        ("turn the front door and stop", True),
    ],
)
def test_an_utterance_has_nothing_of_another(text: str, leaks: bool) -> None:
    evidence = held(*ALONE, spoke("it", FIRST.text, text))
    check(checks.kept_apart("it"), evidence, Bad(LEAK.format(text)) if leaks else GOOD)


def test_a_clip_may_have_what_it_has_alone_now_and_then() -> None:
    noisy = alone(SECOND, SECOND.text, SECOND.text, "open the front door and stop")
    check(
        checks.kept_apart("it"),
        held(
            *noisy, *ONE_CLIP, spoke("it", FIRST.text, "open the front door and stop")
        ),
        GOOD,
    )


def test_clips_that_are_too_much_alike_are_not_told_apart() -> None:
    alike = Utterance("alike", "turn left and stop", silence(1.0))
    check(
        checks.kept_apart("it"),
        held(*ONE_CLIP, *alone(alike, alike.text), spoke("it", alike.text)),
        Open("no text came of a clip that differs enough from another"),
    )


def test_only_what_comes_later_is_kept_apart_where_the_first_may_hear_it() -> None:
    trial = checks.kept_apart("it", later=True)
    clips = (FIRST, FIRST)
    check(trial, held(*ALONE, spoke("it", BOTH.text, FIRST.text, clips=clips)), GOOD)
    check(
        trial,
        held(*ALONE, spoke("it", FIRST.text, f"{SECOND.text} turn", clips=clips)),
        Bad("'open the front door turn' came for"),
    )
    check(trial, held(*ALONE, spoke("it", BOTH.text)), Open("no text came of a clip"))


@pytest.mark.parametrize(
    ("texts", "first", "last"),
    [
        ((FIRST.text, SECOND.text), GOOD, GOOD),
        (("right and stop", SECOND.text, FIRST.text), GOOD, GOOD),  # one may be chance
        (("left right and stop", "pen the front door"), GOOD, GOOD),  # misheard
        (
            ("right and stop", "the front door"),
            Bad("the first word is lost in 2 of 2 utterances: 'turn right and stop'"),
            GOOD,
        ),
        (
            (FIRST.text, "open the front", "turn right and"),
            GOOD,
            Bad("the last word is lost in 2 of 3 utterances: 'open the front door'"),
        ),
        (("", ""), Bad("the first word is lost in 2"), Bad("the last word is lost")),
        ((FIRST.text,), Open("fewer than two"), Open("fewer than two texts came (it)")),
    ],
)
def test_the_first_and_the_last_word_are_there(
    texts: tuple[str, ...], first: Found, last: Found
) -> None:
    evidence = held(*ALONE, spoke("it", *texts))
    check(checks.has_first_word("it"), evidence, first)
    check(checks.has_last_word("it"), evidence, last)


def test_a_word_that_is_not_even_there_alone_is_not_missed() -> None:
    noisy = alone(FIRST, FIRST.text, FIRST.text, "right and stop")
    evidence = held(*noisy, *[spoke("it", "right and stop")] * 3)
    check(checks.has_first_word("it"), evidence, Open("fewer than two texts came (it)"))
    check(checks.has_last_word("it"), evidence, GOOD)


def test_the_first_character_of_a_script_without_spaces_is_there() -> None:
    parts = [spoke("it", CHINESE.text[1:], clips=(CHINESE,))] * 2
    evidence = held(*alone(CHINESE, CHINESE.text), *parts)
    check(
        checks.has_first_word("it"), evidence, Bad("the first word is lost in 2 of 2")
    )
    check(checks.has_last_word("it"), evidence, GOOD)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (FIRST.text, GOOD),
        ("turn stop", GOOD),
        ("stop", Bad("'stop' has 1 of the 4 words of 'turn right and stop'")),
        (None, Open("no final came")),
    ],
)
def test_half_of_a_clip_is_present(text: str | None, found: Found) -> None:
    check(checks.has_clip("it"), held(*ALONE, spoke("it", text)), found)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (BOTH.text, GOOD),
        ("turn stop open door", GOOD),
        (FIRST.text, Bad("'turn right and stop' has 0 of the 4 words of 'open the")),
        (SECOND.text, Bad("'open the front door' has 0 of the 4 words of 'turn")),
        (None, Open("no final came")),
    ],
)
def test_two_clips_are_joined(text: str | None, found: Found) -> None:
    evidence = held(*ALONE, spoke("it", text, clips=(BOTH,)))
    check(checks.has_both_clips("it"), evidence, found)


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        (("", "a"), GOOD),
        ((" \n", "a"), GOOD),
        (("Thank you.", "a"), Bad("'Thank you.' came for an utterance without speech")),
        ((None,), Open("no final came")),
    ],
)
def test_wordless(texts: tuple[str | None, ...], found: Found) -> None:
    check(checks.wordless("it", 0), spoke("it", *texts), found)
    check(checks.wordless("it", 0), spoke("other", ""), Open("no session was run"))


@pytest.mark.parametrize(
    ("parts", "found"),
    [
        ([spoke("it", "", "a")], GOOD),
        ([spoke("it", ""), spoke("it", None)], Bad("no text at all in 1 finals")),
        ([spoke("it", None)], Open("no final came")),
        ([], Open("no session was run")),
    ],
)
def test_spoken_text(parts: list[Part], found: Found) -> None:
    check(checks.speech_has_text("it"), held(*parts), found)


THRICE = Utterance("thrice", "No, no, no! Go on, go on, go on.", silence(1.0))
LOUD = Utterance("loud", "好好好", silence(1.0), language="zh")


@pytest.mark.parametrize(
    ("clip", "text", "found"),
    [
        (FIRST, FIRST.text, GOOD),
        (FIRST, "turn right turn right and stop", GOOD),
        (FIRST, "turn turn turn right", Bad("'turn' three times in a row in 'turn")),
        (FIRST, "Turn, turn, turn", Bad("'turn' three times")),
        (FIRST, "and stop and stop and stop", Bad("'and stop' three times")),
        (THRICE, "no no no go on go on go on", GOOD),  # as it was said
        (THRICE, "on on on no", Bad("'on' three times")),
        (LOUD, "好好好", GOOD),
        (CHINESE, "10000", GOOD),  # a number
        (CHINESE, "天气天气天气", Bad("'天 气' three times")),
        (FIRST, None, Open("no final with a word came")),
        (FIRST, "...", Open("no final with a word came")),
    ],
)
def test_unrepeated(clip: Utterance, text: str | None, found: Found) -> None:
    check(checks.no_repetition("it"), spoke("it", text, clips=(clip,)), found)
    check(checks.no_repetition("it"), spoke("other", ""), Open("no session was run"))


TEN = (
    Utterance("ten", "send a message to my brother and call him back", silence(1.0)),
    Utterance("too", "turn off the light in the hall before you leave", silence(1.0)),
)
misheard = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["", "a", "the", "call", "hall"])),
    max_size=2,
)


def mishear(clip: Utterance, changes: list[tuple[int, str]]) -> str:
    """The text of a clip with another word, or none, at some places."""
    said = clip.text.split()
    for place, word in changes:
        said[place] = word
    return " ".join(filter(None, said))


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(st.tuples(*[st.lists(misheard, min_size=1, max_size=3)] * 2), st.data())
def test_who_says_what_he_says_alone_is_never_blamed(
    noise: tuple[list[list[tuple[int, str]]], ...], data: st.DataObject
) -> None:
    """However noisy a server is: its noise is measured."""
    repeats = [
        [mishear(c, n) for n in each] for c, each in zip(TEN, noise, strict=True)
    ]
    yardstick = [
        part for c, said in zip(TEN, repeats, strict=True) for part in alone(c, *said)
    ]
    assert len(solo_transcripts(held(*yardstick))) == 2
    clips = [TEN[n] for n in (0, 1, 0)]
    texts = [data.draw(st.sampled_from(repeats[TEN.index(clip)])) for clip in clips]
    evidence = held(*yardstick, spoke("it", *texts, clips=clips))
    for trial in (
        checks.same_text("it"),
        checks.kept_apart("it"),
        checks.has_first_word("it"),
        checks.has_last_word("it"),
        checks.has_clip("it"),
    ):
        assert not isinstance(trial(evidence), Violated)
    whole = spoke("it", f"{texts[0]} {texts[1]}", clips=(BOTH,))
    assert checks.has_both_clips("it")(held(*yardstick, whole)) == GOOD


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(st.lists(misheard, min_size=1, max_size=3))
def test_who_takes_one_clip_for_another_is_always_blamed(
    noise: list[list[tuple[int, str]]],
) -> None:
    first, second = TEN
    repeats = [mishear(first, each) for each in noise]
    yardstick = (*alone(first, *repeats), *alone(second, second.text))
    evidence = held(
        *yardstick, spoke("it", second.text, second.text, clips=(first,) * 2)
    )
    for trial in (checks.same_text("it"), checks.kept_apart("it")):
        assert isinstance(trial(evidence), Violated)


# When text comes


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (paced("it", 0.5), GOOD),
        (paced("it", 10.0), GOOD),
        (paced("it", 10.1), Bad("no text came in the 10.0 s in which audio was sent")),
        (paced("it"), Open("no text came at all: closed by us")),
        (part("it", CREATED, UPDATE, BEGIN, APPEND), Open("no text came at all")),
        (paced("it", 1.0, pace=8.0), GOOD),
        (paced("it", 2.0, pace=8.0), Open("the audio was sent faster than it is spok")),
        (paced("it", 11.0, late=3.0), Open("the client itself was 3.0 s late")),
        (paced("it", 11.0, late=2.0), Bad("no text came")),
        (paced("it", 11.0, lag=LATE), Open("the client itself was 3.0 s late")),
        (spoke("other", "a"), Open("no session was run")),
    ],
)
def test_text_comes_meanwhile(evidence: Part, found: Found) -> None:
    check(checks.text_during_audio("it"), evidence, found)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (paced("it", 3.0, 6.0, 9.0), GOOD),
        (paced("it", 7.0), GOOD),
        (paced("it", 7.2), Bad("no new text for 7.1 s while speech was sent; the")),
        (paced("it", 1.0, 2.0), Bad("no new text for 8.0 s")),
        (paced("it"), Bad("no new text for 9.9 s")),
        (paced("it", 3.0, 6.0, late=1.5), GOOD),
        # What was a second too late may be so because we were.
        (paced("it", 8.0, late=1.5), Open("the client itself was 1.5 s late")),
        (paced("it", 8.0, late=0.5), Bad("no new text for 7.9 s")),
        (paced("it", late=1.5), Bad("no new text for 9.9 s")),
        (paced("it", 0.5, 1.0, pace=8.0), GOOD),
        (paced("it", 0.1, pace=8.0), Open("the audio was sent faster than it is spok")),
        (paced("it", 4.0, 8.0, 13.0, pace=0.5), GOOD),
        (paced("it", 4.0, 12.0, pace=0.5), Bad("no new text for 8.0 s")),
        (paced("it", 1.0, seconds=0.1), Open("the audio was not sent to its end")),
        (part("it", CREATED, UPDATE, BEGIN, APPEND), Open("the audio was not sent")),
        (spoke("other", "a"), Open("no session was run")),
    ],
)
def test_text_goes_on_coming(evidence: Part, found: Found) -> None:
    check(checks.no_stall("it", at_most=7.0), evidence, found)


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        ((*SPEAK, delta("a"), done("a"), *SPEAK, delta("b"), done("b")), GOOD),
        ((APPEND, BEGIN, delta("a")), GOOD),
        ((BEGIN, delta("a")), Bad("the text 'a' came before any audio was sent")),
        ((*SPEAK, done("a"), BEGIN, delta("b")), Bad("the text 'b' came before any")),
        ((BEGIN, delta(" "), APPEND, delta("a")), GOOD),  # no text
        ((BEGIN, delta("")), Open("no text came")),
        # An utterance without audio may have its final, and the next one its text.
        ((BEGIN, FINISH, done(""), *SPEAK, delta("b")), GOOD),
        # The client went on, and what comes yet is of the utterance before.
        ((*SPEAK, BEGIN, delta("a"), done("a"), APPEND, delta("b")), GOOD),
        ((*SPEAK, *SPEAK, done("a"), delta("b")), GOOD),
        ((BEGIN, APPEND, error("x"), FINISH, BEGIN, delta("a")), GOOD),
        # One that failed has no final.
        ((BEGIN, APPEND, error("x"), BEGIN, delta("a"), APPEND), GOOD),
    ],
)
def test_no_text_comes_early(frames: tuple[str, ...], found: Found) -> None:
    check(checks.no_early_text, part("it", CREATED, UPDATE, *frames), found)


# What must never be shown


@pytest.mark.parametrize(
    ("text", "character", "token"),
    [
        ("caf\u00e9 \u4eca <3 [sic] a|b", False, False),
        ("caf\ufffd", True, False),
        ("<|endoftext|>", False, True),
        ("<|0.00|> a", False, True),
        ("language English<asr_text>a", False, True),
        ("a </s>", False, True),
        ("<s> a", False, True),
        ("[BLANK_AUDIO]", False, True),
        ("[PAD] [UNK]", False, True),
    ],
)
@pytest.mark.parametrize("kind", ["delta", "done", "pieces"])
def test_what_is_in_no_text(text: str, character: bool, token: bool, kind: str) -> None:
    frames = {
        "delta": (*SPEAK, delta(text)),
        "done": (*SPEAK, done(text)),
        "pieces": (*SPEAK, *map(delta, text)),
    }[kind]
    evidence = part("it", CREATED, UPDATE, *frames)
    broken, shown = Bad("a broken character "), Bad("a token of the model ")
    check(checks.whole_characters, evidence, broken if character else GOOD)
    check(checks.no_control_tokens, evidence, shown if token else GOOD)


STACK = 'Traceback (most recent call last):\n  File "/srv/a.py", line 12, in hear'


OPENED = part("other", CREATED)


def page(status: int, body: str, *parts: Part) -> Evidence:
    return Evidence(parts, (Answer("plain-http", status, body),))


def closed(reason: str, how: Ending = PEER) -> Evidence:
    return held(part("it", CREATED, how=how, code=1011, reason=reason))


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (page(404, "not found"), GOOD),
        (page(500, f"<pre>{STACK}</pre>"), Bad("plain-http: the page shows a stack")),
        (page(0, STACK), Open("the server sent nothing")),  # nobody answered
        (held(part("it", CREATED, error("x", STACK))), Bad("the server shows a stack")),
        (held(part("it", CREATED, error("x", 'File "a.py", line 3'))), Bad("the serv")),
        (held(part("it", CREATED, error("x", "no file a.py, line 3"))), GOOD),
        (closed(STACK), Bad("the reason of the close shows a stack trace")),
        (closed(STACK, BROKEN), GOOD),  # these are words of our own
        (held(part("it", UPDATE)), Open("the server sent nothing")),
        (held(), Open("the server sent nothing")),
    ],
)
def test_no_stack_trace_is_shown(evidence: Evidence, found: Found) -> None:
    check(checks.no_stack_trace, evidence, found)


def keyed(evidence: Evidence) -> Evidence:
    """The same, where the client gave the key."""
    parts = []
    for each in evidence.parts or (part("it", CREATED),):
        trace = replace(each.trace, redactor=Redactor([KEY]))
        parts.append(replace(each, recording=replace(each.recording, trace=trace)))
    return replace(evidence, parts=tuple(parts))


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (page(404, "not found"), GOOD),
        (page(404, f"not found: {REMOVED}"), GOOD),
        (page(401, f"wrong: {KEY}"), Bad("plain-http: the page shows the client's")),
        (held(part("it", CREATED, error("x", KEY))), Bad("the server shows the cl")),
        (held(part("it", CREATED, error("x", REMOVED))), GOOD),
        (closed(KEY), Bad("the reason of the close shows the client's key")),
        (closed(f"cannot connect to {KEY}", BROKEN), GOOD),
    ],
)
def test_no_secret_is_shown(evidence: Evidence | Part, found: Found) -> None:
    whole = held(evidence) if isinstance(evidence, Part) else evidence
    check(checks.no_secret, keyed(whole), found)


def test_what_was_written_by_hand_does_not_come_back() -> None:
    trial = checks.never_repeated("secret", "a path")
    check(trial, mistaken(Hand(UNKNOWN), error("x", "no")), GOOD)
    check(trial, mistaken(Hand(UNKNOWN), error("x", "the secret")), Bad("the server s"))
    check(trial, mistaken(error("x", "the secret")), Open("a path was not sent to it"))


@pytest.mark.parametrize(
    ("frames", "found"),
    [
        ((error("x"), error("y")), GOOD),
        ((error("x"), error(None)), Bad("an error without a code")),
        ((error("x", ""),), Bad("an error without a message")),
        ((), Open("no error came")),
    ],
)
def test_errors_are_coded(frames: tuple[str, ...], found: Found) -> None:
    check(checks.errors_have_codes, part("it", CREATED, *frames), found)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (part("it", CREATED), GOOD),
        (part("it", CREATED, how=PEER, code=1000), GOOD),
        (part("it", CREATED, how=PEER, code=1008, reason="idle"), GOOD),
        (part("it", CREATED, error("x"), how=PEER, code=1011), GOOD),
        (part("it", CREATED, error("x"), how=BROKEN), GOOD),
        (part("it", CREATED, how=BROKEN, code=1009), GOOD),
        (part("it", CREATED, how=Ending.DEADLINE), GOOD),
        (
            part("it", CREATED, how=PEER, code=1011),
            Bad("no error came before: the server closed with code 1011"),
        ),
        (
            part("it", CREATED, how=BROKEN),
            Bad("no error came before: the connection broke off"),
        ),
        (unopened("it"), Open("no session was opened")),
    ],
)
def test_a_close_is_explained(evidence: Part, found: Found) -> None:
    check(checks.explained_close, evidence, found)


# The life of a connection


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("a", "b", "c"), GOOD),
        (("a", "b", "a"), Bad("two sessions have the id 'a'")),
        (("a",), Open("fewer than two sessions have an id")),
        ((), Open("no session was run for it (it, other)")),
    ],
)
def test_unique_ids(names: tuple[str, ...], found: Found) -> None:
    parts = [spoke("it", "a", name=name) for name in names]
    check(checks.unique_ids("it", "other"), held(*parts), found)


def test_sessions_without_an_id_are_not_told_apart() -> None:
    evidence = held(*[part("it", UPDATE)] * 3, spoke("it", "a"))
    check(checks.unique_ids("it"), evidence, Open("fewer than two sessions have an id"))


IN_VAIN = (Ping(MS, 2 * MS), Ping(2 * MS, None))


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (part("it", CREATED, pings=(Ping(0, 5 * S),)), GOOD),
        (part("it", CREATED, pings=IN_VAIN), Bad("a ping was not answered in time")),
        (
            part("it", CREATED, pings=IN_VAIN, how=Ending.DEADLINE),
            Bad("a ping was not answered in time"),
        ),
        # Who is gone cannot answer, but whoever goes on speaking can.
        (
            part("it", CREATED, pings=(Ping(3 * MS, None),), how=PEER, code=1001),
            Open("the session ended: the server closed with code 1001"),
        ),
        (
            part("it", CREATED, UPDATE, pings=(Ping(3 * MS, None),), how=BROKEN),
            Open("the session ended: the connection broke off"),
        ),
        (
            part("it", CREATED, UPDATE, error("x"), pings=IN_VAIN, how=BROKEN),
            Bad("a ping was not answered in time"),
        ),
        (
            part("it", CREATED, pings=IN_VAIN, lag=LATE),
            Open("the client itself was 3.0 s late"),
        ),
        (part("it", CREATED), Open("no ping was sent")),
        (unopened("it"), Open("no session could be opened")),
    ],
)
def test_pongs(evidence: Part, found: Found) -> None:
    check(checks.pongs("it"), evidence, found)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (part("it", CREATED, code=1000), GOOD),
        (part("it", CREATED), Bad("the client's close frame was not answered")),
        (
            part("it", CREATED, how=PEER, code=1000),
            Open(
                "the client did not close the session: the server closed with code 1000"
            ),
        ),
        (unopened("it"), Open("no session could be opened")),
    ],
)
def test_closes(evidence: Part, found: Found) -> None:
    check(checks.close_answered("it"), evidence, found)


WRITTEN = (CREATED, UPDATE, Hand(b"\0"))


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (part("it", *WRITTEN, error("x")), GOOD),
        (part("it", *WRITTEN, error("x"), how=BROKEN), GOOD),
        (part("it", *WRITTEN, how=PEER, code=1003), GOOD),
        # The close came before the frame was taken to its end.
        (part("it", CREATED, how=PEER, code=1009), GOOD),
        (
            part("it", CREATED, how=PEER, code=1003),
            Open("there may be another reason why the server closed with code 1003"),
        ),
        # The server closes on everything.
        (part("it", UPDATE, Hand(b"\0"), how=PEER, code=1003), Open("there may be")),
        (
            part("it", CREATED, how=BROKEN),
            Open("the frame was not sent to its end: the connection broke off"),
        ),
        (part("it", error("x"), *WRITTEN), Bad("it was not answered")),
        (part("it", *WRITTEN), Bad("it was not answered")),
        (
            part("it", *WRITTEN, how=PEER, code=1011),
            Bad("the server closed with code 1011"),
        ),
        (part("it", *WRITTEN, how=BROKEN), Bad("the connection broke off")),
        (part("it", *WRITTEN, how=Ending.CANCELLED, reason="our own"), Open("our own")),
        (part("it", *WRITTEN, how=Ending.DEADLINE, reason=WAITED), Bad("waited 30")),
        (unopened("it"), Open("no session could be opened")),
    ],
)
def test_closed_with(evidence: Part, found: Found) -> None:
    check(checks.refused_or_closed("it", (1003, 1009)), evidence, found)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (
            held(OPENED, unopened("it", code=403), unopened("it", code=401)),
            GOOD,
        ),
        (
            held(unopened("other", code=403), unopened("it", code=403)),
            Open("the server opened no session at all"),
        ),
        (
            held(unopened("it", code=500)),
            Bad("it was refused by HTTP 500, not by one o"),
        ),
        (held(unopened("it", reason="no answer")), Open("it was not answered: no ans")),
        (held(unopened("it", US)), Open("it was not answered: closed by us")),
        (held(part("it", CREATED)), Bad("the session was opened")),
        (held(), Open("no key was given")),
    ],
)
def test_turned_away(evidence: Evidence, found: Found) -> None:
    trial = checks.handshake_refused("it", (401, 403), without="no key was given")
    check(trial, evidence, found)


@pytest.mark.parametrize(
    ("evidence", "found"),
    [
        (page(400, "", OPENED), GOOD),
        (page(426, "Upgrade Required", OPENED), GOOD),
        (page(404, ""), Open("the server opened no session at all")),
        (page(200, "hello"), Bad("it was answered by HTTP 200")),
        (page(500, ""), Bad("it was answered by HTTP 500")),
        (page(0, "no answer within 10 s"), Bad("it was answered by no answer within")),
        (Evidence((), (Answer("other", 500, ""),)), Open("no plain HTTP request was")),
    ],
)
def test_answered_plainly(evidence: Evidence, found: Found) -> None:
    check(checks.plain_http_refused("plain-http"), evidence, found)


LEFT = [part("it", CREATED)] * 3


@pytest.mark.parametrize(
    ("parts", "counts", "found"),
    [
        (LEFT, [2, 6, 4, 2], GOOD),
        (LEFT, [2, 1], GOOD),
        (LEFT, [2, 6, 4], GOOD),  # two others have come
        (
            LEFT,
            [2, 6, 5],
            Bad("open is 5 after 3 sessions were left, and was 2 before"),
        ),
        (
            LEFT,
            [2, 6, 7],
            Bad("open is 6 after 3 sessions were left, and was 2 before"),
        ),
        ([*LEFT[1:], unopened("it")], [0, 2], Bad("open is 2 after 2 sessions")),
        (LEFT, [2], Open("the server has no open in /metrics")),
        (LEFT, [2, None], Open("the server has no open in /metrics")),
        ([], [2, 2], Open("no session was run")),
    ],
)
def test_freed(parts: list[Part], counts: list[float | None], found: Found) -> None:
    gauges = [Gauges("it", {} if n is None else {"open": n}) for n in counts]
    check(checks.freed("it", "open"), there(*parts, gauges=gauges), found)


def since(*started: float | None) -> list[Gauges]:
    """What is seen of processes that began then; ``None``: nobody answers."""
    name = "process_start_time_seconds"
    return [
        Gauges(f"scenario {place}", {}, "no answer")
        if each is None
        else Gauges(f"scenario {place}", {name: each})
        for place, each in enumerate(started)
    ]


LAST = spoke("last", "a")


@pytest.mark.parametrize(
    ("part", "gauges", "found"),
    [
        (LAST, since(5, 5, 5), GOOD),
        (LAST, [HERE, HERE], GOOD),  # it does not tell
        (LAST, [], GOOD),
        (
            LAST,
            since(5, 5, 7, 7),
            Bad("the server was restarted in or after scenario 2"),
        ),
        (LAST, since(5, 7), Bad("the server was restarted in or after scenario 1")),
        # Several processes answer in turn.
        (LAST, since(5, 7, 5, 7), GOOD),
        (LAST, since(7, 5, 5), GOOD),
        (
            LAST,
            since(5, 7, 5, 9),
            Bad("the server was restarted in or after scenario 3"),
        ),
        # It was too busy to answer, and is the same.
        (LAST, since(5, None, 5), GOOD),
        (LAST, since(5, None, None), Bad("lost after scenario 1: no answer")),
        (LAST, since(5, None, 7), Bad("lost after scenario 1: no answer")),
        (LAST, [HERE, GONE, HERE], Bad("lost after it: no answer within 10 s")),
        (spoke("last", None), since(5, 5), Bad("no final of turn-right came")),
        (spoke("other", "a"), since(5, 5), Open("no session was run for it (last)")),
    ],
)
def test_unbroken(part: Part, gauges: list[Gauges], found: Found) -> None:
    check(checks.same_process, there(part, gauges=gauges), found)


# What was heard in time, and the begin of what is long


def test_what_came_too_late_is_not_judged() -> None:
    refused = (UPDATE, Hand(UNKNOWN), error("unknown_event"))
    late = spoke("late", FIRST.text, BOTH.text)
    early = spoke("late", FIRST.text, BOTH.text, before=refused)
    judge = checks.if_in_time("late", checks.kept_apart("late"))
    assert judge(Evidence((*ALONE, late))) == Undecided(
        "the final came before the server had read the rest"
    )
    found = judge(Evidence((*ALONE, late, early)))
    assert isinstance(found, Violated)
    assert found.part == len(ALONE) + 1
    unlost = spoke("late", None, before=refused)
    assert isinstance(judge(Evidence((*ALONE, unlost))), Undecided)
    assert isinstance(judge(Evidence(ALONE)), Undecided)


def test_the_begin_of_what_is_long() -> None:
    judge = checks.keeps_start("35s")

    def of(text: str | None, *others: Part) -> Outcome:
        return judge(Evidence((*others, spoke("35s", text))))

    assert of(f"{FIRST.text} {SECOND.text}", *ALONE) == Satisfied()
    assert of("turn and go on and on", *ALONE) == Satisfied()
    assert isinstance(of(SECOND.text, *ALONE), Violated)
    assert isinstance(of(None, *ALONE), Undecided)
    assert isinstance(of(FIRST.text), Undecided)
    assert isinstance(judge(Evidence(ALONE)), Undecided)


# The key of the client, as it may be spelled


def heard(name: str, *frames: str | bytes, key: str = KEY) -> Evidence:
    """A session of this dialect in which the server sent these frames."""
    dialect = dialects.load(name)
    recorder = Recorder(
        vantage=Vantage.CLIENT,
        dialect=name,
        rate=dialect.rate,
        target="ws://host/",
        redactor=Redactor([key]),
    )
    recorder.open()
    for frame in frames:
        recorder.received(Sender.SERVER, recorder.now(), frame)
    return Evidence((dialects.part(dialect, recorder.freeze()),))


def said(text: str) -> str:
    """An error of each dialect with this text, as JSON may have it."""
    try:
        json.loads(f'"{text}"')
    except ValueError:
        text = json.dumps(text)[1:-1]
    return (
        '{"type":"error","event_id":"e","error":{"type":"invalid_request_error",'
        f'"code":"x","message":"the key {text} is wrong"}}}}'
    )


@pytest.mark.parametrize("name", dialects.installed())
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_key_is_seen_and_removed_in_each_spelling(name: str, spelling: str) -> None:
    spell = SPELLINGS[spelling]
    evidence = heard(name, said(spell(KEY)))
    check(checks.no_secret, evidence, Bad("the server shows the client's key"))
    check(checks.no_secret, heard(name, said(spell(KEY[::-1]))), GOOD)
    written = loads(evidence.parts[0].trace.dumps())
    (text,) = [record.text or "" for record in written.records]
    assert not Redactor([KEY]).shows(text)
    assert "the key " in json.loads(text)["error"]["message"]
    # From the file, it is seen that there was one.
    again = Evidence((dialects.part(dialects.load(name), written),))
    check(checks.no_secret, again, Bad("the server shows the client's key"))


@pytest.mark.parametrize("name", dialects.installed())
@pytest.mark.parametrize("size", [3, 10, 25])
def test_a_key_is_seen_over_several_deltas(name: str, size: int) -> None:
    deltas = [
        json.dumps({"type": "transcription.delta", "delta": KEY[at : at + size]})
        for at in range(0, len(KEY), size)
    ]
    evidence = heard(name, '{"type":"x"}', *deltas, '{"type":"y"}')
    check(checks.no_secret, evidence, Bad("the server shows the client's key"))
    outcome = checks.no_secret(evidence)
    assert isinstance(outcome, Violated)
    assert outcome.records == tuple(range(1, 1 + len(deltas)))
    check(checks.no_secret, heard(name, *deltas[:-1]), GOOD)


def test_a_key_is_seen_in_binary_frames_and_in_what_is_too_long_to_keep() -> None:
    found = Bad("the server shows the client's key")
    check(checks.no_secret, heard("vllm", b"\0" + KEY.encode()), found)
    check(checks.no_secret, heard("vllm", "x" * LONGEST + KEY), found)
    check(checks.no_secret, heard("vllm", "x" * LONGEST + KEY[::-1]), GOOD)


def test_a_server_may_say_the_word_that_stands_for_a_secret() -> None:
    check(checks.no_secret, heard("vllm", f'{{"delta":"{REMOVED}"}}'), GOOD)
