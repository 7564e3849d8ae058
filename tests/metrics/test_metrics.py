"""The catalogue, and each metric on timelines that were written by hand."""

from __future__ import annotations

import inspect
import re
import sys
import tracemalloc
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import FrameType

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.corpus import Utterance, Word
from pytest_realtime_asr.metrics import (
    CATALOGUE,
    Better,
    Unit,
    measure,
    measures,
)
from pytest_realtime_asr.metrics.accuracy import (
    characters,
    pooled,
    words,
)
from pytest_realtime_asr.metrics.alignment import Alignment, Errors, Pair, TextUnit
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.metrics.declaration import Declaration
from pytest_realtime_asr.metrics.normalizers import (
    BASIC,
    ENGLISH,
    NONE,
    NORMALIZERS,
    Normalizer,
    normalizer_for,
    unspaced,
)
from pytest_realtime_asr.metrics.pacing import (
    ClientState,
    Counts,
    client_state,
    counts,
    scheduling_delay,
)
from pytest_realtime_asr.report.alignment import lines
from pytest_realtime_asr.trace import records
from pytest_realtime_asr.trace.records import NO_LAG, End, Ending, Lag, Ping
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Endpoint,
    Event,
    Final,
    Heard,
    Partial,
    Timeline,
    Usage,
)
from tests.support.paths import FIXTURES

GOLDEN = FIXTURES / "traces"
MS = 1_000_000
RATE = 16_000
CHUNK = RATE // 10


@dataclass(frozen=True)
class Speech:
    """A reference with the start and the end (s) of its speech."""

    speech_start: float | None = 0.3
    speech_end: float | None = 0.8
    text: str = "go forward"
    words: tuple[Word, ...] = ()
    language: str = "en"
    speech_by: str = "words"


def frame(
    number: int, *, late: int = 0, blocked: int = 0, item: int = 0, due: int = 0
) -> Heard:
    """Return the frame of audio ``number``, 100 ms long; times are in ms."""
    due = due or 1000 + 100 * number
    woke = due + late
    return Heard(
        item,
        CHUNK * (number + 1),
        due * MS,
        woke * MS,
        (woke + blocked) * MS,
        2 * CHUNK,
    )


def timeline(*events: Event, lag: Lag = NO_LAG) -> Timeline:
    return Timeline(RATE, 20 * MS, 50 * MS, events, End(Ending.CLOSED_BY_US, 0), lag)


def value(metric: str, item: Timeline, script: Speech | None = None) -> float | None:
    """Return the value of one metric."""
    return measure(item, script)[metric]


def partial(at: int, added: str, *, kept: int = 0) -> Partial:
    return Partial(0, at * MS, kept, added)


def final(at: int, text: str, usage: Usage | None = None) -> Final:
    return Final(0, at * MS, text, usage)


def commit(due: int = 2000, *, late: int = 0) -> Commit:
    return Commit(0, due * MS, (due + late) * MS, (due + late) * MS)


AUDIO = [frame(number) for number in range(10)]  # due at 1000, 1100, ... 1900
WHOLE = timeline(
    *AUDIO[:6],
    partial(1520, " "),
    *AUDIO[6:],
    partial(1920, "go", kept=1),
    commit(),
    final(2250, "go forward"),
)
SILENT = timeline()


DOCUMENTED = ("Formula", "Unit", "Better", "Source")


def documented(metric: Declaration) -> dict[str, str]:
    """Return the fields of a metric's docstring, each with its text in one line."""
    doc = inspect.getdoc(metric.function) or ""
    found = re.findall(r"^([A-Z]\w+): (.+(?:\n .+)*)", doc, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in found}


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_docstring_of_a_metric_agrees_with_its_declaration(name: str) -> None:
    metric = CATALOGUE[name]
    fields = documented(metric)
    timed = ("Start", "End") if metric.timed else ()
    assert sorted(fields) == sorted((*DOCUMENTED, *timed))
    assert fields["Unit"] == metric.unit
    assert fields["Better"] == metric.better
    assert metric.summary is not None
    assert re.match("(Measure|Count) .*\\.$", metric.summary)
    assert metric.summary.startswith("Count ") == (metric.unit is Unit.COUNT)


def test_a_metric_declares_what_a_verdict_depends_on() -> None:
    for name, metric in CATALOGUE.items():
        assert metric.name == name
        assert metric.needs
        assert metric.beside is None or metric.beside in CATALOGUE
    units = Counter(metric.unit for metric in CATALOGUE.values())
    assert units == {Unit.MS: 24, Unit.RATIO: 8, Unit.COUNT: 3, Unit.PER_MINUTE: 1}
    higher = {name for name, it in CATALOGUE.items() if it.better is Better.HIGHER}
    assert higher == {"word_coverage", "word_time_coverage"}
    assert CATALOGUE["connect"].needs == "an established connection"


def test_metrics_that_do_not_describe_the_server_are_not_gated() -> None:
    ungated = {name: it.no_budget for name, it in CATALOGUE.items() if not it.gated}
    assert ungated.keys() == {
        "first_partial_from_audio",
        "longest_stall",
        "word_time_bias",
        "partial_interval",
        "sender_lateness",
        "sender_lateness_max",
        "loop_lag",
        "gc_pause",
        "own_cpu",
        "pacing_error",
        "path_round_trip",
    }
    assert all(ungated.values())


def test_a_whole_session_has_every_metric() -> None:
    pings = (Ping(20 * MS, 23 * MS), Ping(1020 * MS, 1021 * MS), Ping(2020 * MS))
    lag = Lag(100, (3 * MS, 2 * MS), 7 * MS, 0.25)
    lagged = replace(WHOLE, lag=lag, pings=pings)
    assert measure(lagged, Speech()) == {
        "connect": 20.0,
        "session_ready": 30.0,
        "first_partial_from_audio": 920.0,
        "first_partial_from_speech": 720.0,  # 0.3 s is in the third frame, due at 1200
        "first_correct_word": None,  # no word is timed
        "early_text": 0.0,
        "word_first_emission": None,
        "word_settled": None,
        "word_coverage": 1.0,
        "word_time_coverage": None,  # the server sent no word times
        "word_time_error": None,
        "word_time_bias": None,
        # An even speaker says two words in 500 ms from 1200 on; both come after that.
        "lag_laal": 720.0,
        "lag_drift": None,
        "lag_yaal": None,
        "partial_wer": None,
        "unspoken_rate": None,
        "partial_interval": 330.0,
        "final_from_commit": 250.0,
        "final_from_speech_end": 550.0,
        "longest_stall": 500.0,
        "text_complete_from_speech_end": 550.0,
        "drain": 350.0,
        "normalized_erasure": 0.0,
        "revision_rate": 0.0,
        "final_retractions": 0.0,
        "endpoint_delay": None,  # nobody detected a turn
        "false_endpoints": None,
        "send_blocked": 0.0,
        "sender_lateness": 0.0,
        "sender_lateness_max": 0.0,
        "loop_lag": 2.0,
        "gc_pause": 7.0,
        "own_cpu": 0.25,
        "pacing_error": 0.0,
        "path_round_trip": 1.0,  # of 1 and 3 ms, the nearest rank
    }


def test_the_golden_trace() -> None:
    """The metrics of a stored trace agree with values that were computed by hand.

    Two frames were due at 130.36 and 230.36 ms. The delta "go" came at 133.45 ms. The
    commit was due with the last frame. The delta " forward" came at 236.54 ms, and the
    final at 439.54 ms.
    """
    held = records.read(GOLDEN / "vllm-sound.jsonl")
    said = (Word("go", 0.02, 0.08), Word("forward", 0.1, 0.18))  # one in each frame
    first = dialects.read(dialects.load("vllm"), held).item(0)
    found = measure(first, Speech(0.02, 0.18, "go forward", said))
    by_hand = {
        "connect": 12.0,  # open at 12
        "session_ready": 15.0 - 12.0,
        "first_partial_from_audio": 133.45 - 130.36,
        "first_partial_from_speech": 133.45 - 130.36,
        "first_correct_word": 133.45 - 130.36,
        # Of 3.09 and 236.54 - 230.36 = 6.18 the nearest rank of a half is the first.
        "word_first_emission": 3.09,
        "word_settled": 3.09,
        # In X = 100 ms an even speaker says the second of two words at 50; the second
        # came at 106.18 after the start, which ends the sum: (3.09 + 106.18 - 50) / 2.
        "lag_laal": 29.635,
        "lag_yaal": 3.09,  # the second came after X
        "partial_interval": 236.54 - 133.45,
        "longest_stall": 230.36 - 133.45,  # speech was over then
        "final_from_commit": 439.54 - 230.36,
        "final_from_speech_end": 439.54 - 230.36,
        "text_complete_from_speech_end": 236.54 - 230.36,
        "drain": 439.54 - 230.36,
        "send_blocked": 0.05,  # 130.45 - 130.40
        "sender_lateness": 0.04,  # 130.40 - 130.36
        "sender_lateness_max": 0.04,
        "loop_lag": 1.4,
        "gc_pause": 0.0,
    }
    known = {name: found[name] for name in by_hand}
    assert known == pytest.approx(by_hand)
    others = {name for name in CATALOGUE if CATALOGUE[name].unit is Unit.MS}
    assert {n for n in others - known.keys() if found[n] is not None} == set()


def ended(*at: int) -> Timeline:
    """Return the whole session with endpoints at these times (ms)."""
    found = (Endpoint(0, each * MS) for each in at)
    return replace(WHOLE, events=(*WHOLE.events, *found))


@pytest.mark.parametrize(
    ("at", "delay", "cut"),
    [
        ((2200,), 500.0, 0.0),  # 0.8 s is in the eighth frame, due at 1700
        ((1700,), 0.0, 0.0),
        ((1600,), -100.0, 0.0),  # the word times may be 100 ms off
        ((1599,), -101.0, 1.0),
        ((1300, 1500, 2000, 2400), 300.0, 2.0),
        ((1300, 1500), -200.0, 2.0),
    ],
)
def test_an_endpoint_is_delayed_or_false(
    at: tuple[int, ...], delay: float, cut: float
) -> None:
    measured = measures(ended(*at), Speech())
    found = [measured.values[name] for name in ("endpoint_delay", "false_endpoints")]
    assert found == [delay, cut]
    early = Premature.ENDPOINT_BEFORE_SPEECH_END if delay < -100 else None
    assert measured.premature.get("endpoint_delay") == early


def test_an_endpoint_metric_needs_the_end_of_speech() -> None:
    for spoken in (None, Speech(0.3, None), Speech(0.3, 5.0)):
        measured = measure(ended(2200), spoken)
        assert measured["endpoint_delay"] is measured["false_endpoints"] is None


def test_a_missing_value_is_none_and_not_zero() -> None:
    empty = replace(SILENT, opened=None, ready=None)
    assert measure(empty, Speech()) == dict.fromkeys(CATALOGUE)
    assert measure(empty, None) == dict.fromkeys(CATALOGUE)


def test_without_word_times_nothing_is_counted_from_speech() -> None:
    for spoken in (None, Speech(None, None)):
        measured = measure(WHOLE, spoken)
        assert measured["first_partial_from_speech"] is None
        assert measured["final_from_speech_end"] is None
        assert measured["final_from_commit"] == 250


def test_a_session_that_was_cut_short_has_no_end_of_speech() -> None:
    measured = measure(timeline(*AUDIO[:5], final(1500, "x")), Speech())
    assert measured["final_from_speech_end"] is None
    assert measured["final_from_commit"] is None
    assert measured["first_partial_from_speech"] == 300


def test_a_lost_session_has_no_final() -> None:
    lost = timeline(*AUDIO, partial(1520, "go"), commit())
    measured = measure(lost, Speech())
    assert measured["final_from_commit"] is None
    assert measured["final_from_speech_end"] is None
    assert measured["first_partial_from_audio"] == 520


def test_the_final_is_the_first_text_if_there_is_no_partial() -> None:
    only = timeline(*AUDIO, commit(), final(2250, "go"))
    assert value("first_partial_from_audio", only) == 1250
    assert value("longest_stall", only, Speech()) == 500


def test_blank_text_is_no_text() -> None:
    blank = timeline(*AUDIO, partial(1500, " \n"), commit(), final(2250, ""))
    assert value("first_partial_from_audio", blank) is None
    assert value("final_from_commit", blank) == 250


def test_an_early_final_is_negative_and_not_clamped() -> None:
    early = timeline(*AUDIO[:7], final(1650, "go"), *AUDIO[7:], commit())
    assert value("final_from_speech_end", early, Speech()) == -50
    assert value("final_from_commit", early) == -350


def test_punctuation_is_no_first_text() -> None:
    for added, first in ((".", 1250), ("\u2026 -", 1250), ("7", 0), ("\u0939", 0)):
        told = timeline(*AUDIO, partial(1000, added), commit(), final(2250, "go"))
        assert value("first_partial_from_audio", told) == first


# Events from before what they answer. The audio is due from 1000 to 1900 ms, the start
# of speech at 1200, its end at 1700, the commit at 2000.

TEXTS = ("first_partial_from_audio", "first_partial_from_speech")
FINALS = ("final_from_commit", "final_from_speech_end", "drain")
FOUND = Speech(speech_by="energy")
EARLY_TEXT = dict.fromkeys(TEXTS, Premature.TEXT_BEFORE_SPEECH)
UNASKED = dict.fromkeys(FINALS, Premature.FINAL_BEFORE_COMMIT)
CUT_OFF = dict.fromkeys(FINALS, Premature.FINAL_BEFORE_SPEECH_END)
WHOLE_TEXT = "text_complete_from_speech_end"


def session_of(*events: Event) -> Timeline:
    """Return a session with these events, sorted by time."""

    def at(event: Event) -> int:
        return event.due if isinstance(event, Heard | Commit) else event.at

    return timeline(*sorted((*AUDIO, commit(), *events), key=at))


def endpoint(at: int) -> Endpoint:
    return Endpoint(0, at * MS)


@pytest.mark.parametrize(
    ("events", "spoken", "found"),
    [
        # A text answers the speech.
        ([partial(1200, "go")], Speech(), {}),
        ([partial(1100, "go")], Speech(), {}),
        ([partial(1099, "go")], Speech(), EARLY_TEXT),
        ([partial(1001, ".")], Speech(), {}),
        ([partial(1099, "go")], Speech(0.5, 0.8, speech_by="energy"), EARLY_TEXT),
        ([partial(1100, "go")], Speech(0.5, 0.8, speech_by="energy"), {}),
        ([partial(1099, "go")], Speech(None, None), {}),
        (
            [partial(999, "go")],
            Speech(None, None),
            {"first_partial_from_audio": Premature.TEXT_BEFORE_AUDIO},
        ),
        # A final answers the commit.
        ([final(2000, "go")], Speech(), {}),
        ([final(1999, "go")], Speech(), {**UNASKED, WHOLE_TEXT: UNASKED["drain"]}),
        ([final(1999, "go")], None, {n: UNASKED[n] for n in FINALS if "sp" not in n}),
        # Or the end of speech, where the server ends the turn by itself.
        ([endpoint(1750), final(1800, "go")], Speech(), {}),
        ([endpoint(1500), final(1600, "go")], Speech(), {}),
        ([endpoint(1400), final(1400, "go")], FOUND, {}),
        ([endpoint(1750), final(1800, "go")], Speech(None, None), {}),
        (
            [endpoint(1500), final(1599, "go")],
            Speech(),
            {**CUT_OFF, WHOLE_TEXT: CUT_OFF["drain"]},
        ),
        (
            [final(1800, "go"), endpoint(1801)],
            Speech(),
            {**UNASKED, WHOLE_TEXT: UNASKED["drain"]},
        ),
        # The last word may be known before it ends, but not before the speech.
        ([partial(1300, "go"), final(2250, "go")], Speech(), {}),
        (
            [partial(1050, "go"), final(2250, "go")],
            Speech(),
            {**EARLY_TEXT, WHOLE_TEXT: Premature.TEXT_BEFORE_SPEECH},
        ),
    ],
)
def test_an_event_that_came_before_its_cause_is_premature(
    events: list[Event], spoken: Speech | None, found: Mapping[str, Premature]
) -> None:
    measured = measures(session_of(*events), spoken)
    premature = {n: w for n, w in measured.premature.items() if n != "endpoint_delay"}
    assert premature == found
    for name in found:
        assert measured.values[name] is not None  # it is kept to be looked at


def test_a_final_before_the_delayed_commit_was_sent_is_premature() -> None:
    late = timeline(*AUDIO, final(2020, "go"), commit(late=30))
    assert measure(late, None)["final_from_commit"] == 20
    assert measures(late, None).premature["final_from_commit"] == UNASKED["drain"]


def test_a_final_without_commit_and_endpoint_is_judged_by_the_speech() -> None:
    for at, why in ((1700, None), (1500, Premature.FINAL_BEFORE_SPEECH_END)):
        found = measures(timeline(*AUDIO, final(at, "go")), Speech())
        assert found.premature.get("final_from_speech_end") == why


def test_the_first_word_is_premature_only_before_the_speech() -> None:
    spoken = Speech(words=(Word("go", 0.3, 0.6), Word("forward", 0.6, 0.8)))
    for at, why in ((1150, None), (1050, Premature.TEXT_BEFORE_SPEECH)):
        found = measures(session_of(partial(at, "go")), spoken)
        assert found.values["first_correct_word"] == at - 1500
        assert found.premature.get("first_correct_word") == why
        assert not found.premature.keys() & {"word_settled", "lag_laal"}


def test_a_premature_text_does_not_change_first_correct_word() -> None:
    spoken = Speech(words=(Word("go", 0.3, 0.6),))
    made_up = session_of(partial(1001, "uh"), partial(1600, " go"))
    found = measures(made_up, spoken)
    assert found.values["first_correct_word"] == 100
    assert found.premature == EARLY_TEXT


def test_back_pressure_shows_as_latency() -> None:
    blocked = [frame(0, blocked=900), *AUDIO[1:]]
    held = timeline(*blocked, commit(), final(2950, "go"))
    assert value("first_partial_from_audio", held) == 1950
    assert value("final_from_commit", held) == 950


@pytest.mark.parametrize(
    ("texts", "spoken", "expected"),
    [
        ([], None, 900),  # from the first frame to the last
        ([(1400, "a")], None, 500),
        ([(1400, "a"), (1450, "a"), (1500, "  ")], None, 500),  # nothing new
        ([(1400, "a"), (1450, "b"), (1600, "a")], None, 400),
        ([(900, "a"), (1000, "b"), (1900, "c"), (2500, "d")], None, 900),
        ([(1300, "a"), (1450, "b")], Speech(0.3, 0.8), 250),
        ([(1300, "a"), (1450, "b")], Speech(0.3, None), 450),
        ([(1300, "a"), (1450, "b")], Speech(None, 0.8), 300),
        ([(1300, "a")], Speech(0.3, 9.0), 600),  # not so much audio: the last frame
        ([(1300, "a")], Speech(9.0, 9.5), None),
        ([(1300, "a")], Speech(0.3, 0.3), None),
    ],
)
def test_the_longest_stall(
    texts: list[tuple[int, str]], spoken: Speech | None, expected: float | None
) -> None:
    partials = [partial(at, text) for at, text in texts]
    assert value("longest_stall", timeline(*AUDIO, *partials), spoken) == expected


def test_one_frame_has_no_stall() -> None:
    assert value("longest_stall", timeline(AUDIO[0])) is None


def test_sender_lateness_is_the_time_from_due_to_wake() -> None:
    frames = [frame(n, late=30 if n == 40 else n % 2) for n in range(200)]
    measured = measure(timeline(*frames), None)
    assert measured["sender_lateness"] == 1  # one frame in 200 is beyond p99
    assert measured["sender_lateness_max"] == 30
    assert measured["send_blocked"] == 0


def test_waiting_behind_a_blocked_frame_is_not_sender_lateness() -> None:
    # The first is taken at 1350; two wait for it, the next one is punctual.
    frames = [frame(0, blocked=350), frame(1, late=250), frame(2, late=152), frame(3)]
    measured = measure(timeline(*frames), None)
    assert measured["send_blocked"] == 350
    assert measured["sender_lateness_max"] == 2


def test_sender_lateness_remains_while_the_backlog_is_sent() -> None:
    frames = [frame(0, late=350), frame(1, late=250), frame(2, late=150), frame(3)]
    measured = measure(timeline(*frames), None)
    assert measured["sender_lateness_max"] == 350
    assert scheduling_delay(timeline(*frames[1:])) == 250
    assert scheduling_delay(timeline(frame(0, late=350), frame(1, late=250))) == 350


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)), min_size=1),
)
def test_a_sender_that_is_never_slow_is_never_late(
    steps: list[tuple[int, int]],
) -> None:
    """Delays and blocked times are played through a sender with one task."""
    taken, frames, slow = 0, [], 0
    for number, (delay, blocked) in enumerate(steps):
        due = 1000 + 100 * number
        woke = max(due, taken) + delay
        slow += delay
        frames.append(frame(number, late=woke - due, blocked=blocked))
        taken = woke + blocked
    worst = measure(timeline(*frames), None)["sender_lateness_max"]
    assert worst is not None
    assert max(delay for delay, _ in steps) <= worst <= slow


def test_the_lag_of_the_loop_is_a_quantile_of_all_ticks() -> None:
    def lag(ticks: int, *late: int) -> float | None:
        late_ns = tuple(each * MS for each in late)
        return measure(timeline(lag=Lag(ticks, late_ns)), None)["loop_lag"]

    assert lag(0) is None
    assert lag(100) == 0
    assert lag(100, 7) == 0
    assert lag(100, 9, 7) == 7
    assert lag(98, 9, 7) == 9
    assert lag(1, 9, 7) == 9


def test_pacing_is_compared_with_real_time() -> None:
    slow = [frame(n, late=n) for n in range(11)]
    assert measure(timeline(*slow), None)["pacing_error"] == pytest.approx(0.01)
    assert measure(timeline(frame(0)), None)["pacing_error"] is None


def test_the_scheduling_delay_adds_frame_lateness_and_loop_lag() -> None:
    assert scheduling_delay(timeline()) is None
    assert scheduling_delay(timeline(*AUDIO)) == 0
    assert scheduling_delay(timeline(*AUDIO, lag=Lag(10, (8 * MS,)))) == 8
    assert (
        scheduling_delay(timeline(*AUDIO, commit(late=40), lag=Lag(10, (8 * MS,))))
        == 48
    )
    assert scheduling_delay(timeline(frame(0, late=50), lag=Lag(900, (8 * MS,)))) == 58


def test_unknown_values_of_the_client_are_none() -> None:
    unknown = replace(timeline(lag=Lag(1)), pings=(Ping(3),))
    silent = measure(unknown, None)
    assert (silent["gc_pause"], silent["own_cpu"]) == (0.0, None)
    assert silent["path_round_trip"] is None
    assert client_state(timeline()) == ClientState()


@pytest.mark.parametrize(
    ("given", "bound", "disturbed"),
    [
        (ClientState(), 5, False),
        (ClientState(send=5, loop=5, pause=90), 5, False),
        (ClientState(send=5.1), 5, True),
        (ClientState(loop=5.1), 5, True),
        (ClientState(send=39, loop=39, cpu=0.66), 40, False),
        (ClientState(cpu=0.67), 40, True),
    ],
)
def test_the_instrument_is_disturbed_by_lateness_and_by_load(
    given: ClientState, bound: float, disturbed: bool
) -> None:
    assert given.disturbed(bound) is disturbed


def test_counts_are_summed_over_items() -> None:
    found = counts(
        timeline(
            *AUDIO,
            final(2250, "go", Usage(10, 3, 13)),
            *[frame(n, item=1, due=3000 + 100 * n) for n in range(5)],
            Final(1, 4000 * MS, "on", Usage(prompt=5)),
            Final(2, 4100 * MS, "no"),
        )
    )
    assert found == Counts(15 * CHUNK, 1.5, 30 * CHUNK, 15, 3, 13)
    assert counts(SILENT) == Counts(0, 0, 0, None, None, None)


# Accuracy


def shown(alignment: Alignment) -> list[tuple[str | None, str | None]]:
    return [(pair.reference, pair.hypothesis) for pair in alignment.pairs]


def test_an_alignment_pairs_each_word_with_the_recognised_word() -> None:
    found = words("turn left now please go", "turn lift please go do", normalizer=NONE)
    assert shown(found) == [
        ("turn", "turn"),
        ("left", "lift"),
        ("now", None),
        ("please", "please"),
        ("go", "go"),
        (None, "do"),
    ]
    assert found.errors == Errors(3, 1, 1, 1)
    assert (found.errors.reference, found.errors.wrong) == (5, 3)
    assert found.errors.rate == 0.6
    assert (found.unit, found.normalizer) == (TextUnit.WORD, "none/1")


def test_a_lost_session_has_all_words_deleted() -> None:
    assert words("go forward", None).errors == Errors(deletions=2)
    assert words("go forward", "").errors == Errors(deletions=2)


def test_words_recognised_in_silence_are_counted_separately() -> None:
    found = words("", "thank you")
    assert found.errors == Errors(unspoken=2)
    assert found.errors.rate is None
    assert words("", "").errors == Errors()
    assert words("", None).pairs == ()


def test_rates_are_pooled_and_not_averaged() -> None:
    rows = [
        words("yes", "no").errors,
        words("one more word or", "one more word or").errors,
        words("", "hello").errors,
    ]
    assert pooled(rows) == Errors(hits=4, substitutions=1, unspoken=1)
    assert pooled(rows).rate == 0.2
    assert pooled([]).rate is None
    assert pooled(rows[2:]).rate is None


TEXT = st.text("ab c\u0301\u4e2d\u0e01.", max_size=30)


@given(TEXT, TEXT, st.sampled_from([*NORMALIZERS.values(), None]))
def test_the_counts_add_up(
    reference: str, hypothesis: str, normalizer: Normalizer | None
) -> None:
    for align in (words, characters):
        found = align(reference, hypothesis, normalizer=normalizer)
        errors = found.errors
        chosen = normalizer or normalizer_for(reference)
        said = chosen.function(reference).split()
        heard = chosen.function(hypothesis).split()
        if found.unit is TextUnit.CHARACTER:
            said, heard = list("".join(said)), list("".join(heard))
        assert [p.reference for p in found.pairs if p.reference is not None] == said
        assert [p.hypothesis for p in found.pairs if p.hypothesis is not None] == heard
        assert errors.reference == len(said)
        assert errors.hits + errors.substitutions + errors.insertions + (
            errors.unspoken
        ) == len(heard)
        assert align(reference, reference, normalizer=normalizer).errors.wrong == 0
        assert lines(found).count("ref: ") == lines(found).count("hyp: ")


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "", ENGLISH),
        ("en-GB", "日本", ENGLISH),
        ("EN_us", "go", ENGLISH),
        ("eng", "go", ENGLISH),
        ("English", "go", ENGLISH),
        ("de", "gehe", BASIC),
        ("ja", "go", BASIC),
        ("ar-EG", "go", NORMALIZERS["arabic"]),
        ("arz", "go", NORMALIZERS["arabic"]),
        ("iw", "go", NORMALIZERS["hebrew"]),
        ("Farsi", "go", NORMALIZERS["persian"]),
        ("ru", "go", NORMALIZERS["russian"]),
        ("az", "go", NORMALIZERS["turkish"]),
        ("", "go forward", BASIC),
        ("", "\uff27\uff2f", BASIC),
        ("", "", BASIC),
        ("", "1 2 3", BASIC),
        ("", "вперёд", BASIC),
        ("", "नमस्ते", BASIC),
        ("", "שלום עולם", NORMALIZERS["hebrew"]),
        ("", "今日は Python で", BASIC),
    ],
)
def test_the_reference_chooses_the_normalizer(
    language: str, text: str, expected: Normalizer
) -> None:
    assert normalizer_for(text, language) is expected


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("zh", "", True),
        ("zh-Hant", "go", True),
        ("cmn", "", True),
        ("yue", "", True),
        ("ja", "", True),
        ("th", "", True),
        ("lo", "", True),
        ("km", "", True),
        ("my", "", True),
        ("en", "中文", False),
        ("ko", "", False),
        ("", "中文", True),
        ("", "ありがとう", True),
        ("", "ｶﾀｶﾅ", True),
        ("", "人々", True),
        ("", "สวัสดี", True),
        ("", "안녕하세요 세계", False),
        ("", "go", False),
        ("", "", False),
        ("", "42", False),
    ],
)
def test_scripts_without_spaces_go_by_characters(
    language: str, text: str, expected: bool
) -> None:
    assert unspaced(text, language) is expected
    unit = TextUnit.CHARACTER if expected else TextUnit.WORD
    assert words(text, text, language=language).unit is unit


def test_characters_are_counted_without_blanks() -> None:
    assert words("今日は 晴れ", "今日 は雨", language="ja").errors == Errors(3, 1, 1)
    assert characters("go on", "g oon").errors == Errors(hits=4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Turn LEFT, please!", "turn left please"),
        ("हिन्दी में बात करें।", "हिन्दी में बात करें"),
        ("مَرْحَبًا بِالعَالَم، كيف؟", "مَرْحَبًا بِالعَالَم كيف"),
        ("안녕하세요, 세계!", "안녕하세요 세계"),
        ("สวัสดีครับ", "สวัสดีครับ"),
        ("Größe, l\u2019été (bald)", "grösse l été bald"),
        ("cafe\u0301", "café"),
        ("नमस्\u200dते", "नमस्ते"),
        ("e\u200d\u0301", "é"),
        ("①２", "12"),
        ("\ufeffgo", "go"),
    ],
)
def test_the_basic_normalizer_keeps_marks(text: str, expected: str) -> None:
    assert BASIC.function(text).split() == expected.split()


@given(st.text())
def test_the_basic_normalizer_leaves_a_normal_text_alone(text: str) -> None:
    once = BASIC.function(text)
    assert BASIC.function(once).split() == once.split()


@given(st.text())
def test_no_text_breaks_an_alignment(text: str) -> None:
    for normalizer in NORMALIZERS.values():
        words("go", text, normalizer=normalizer)
        words(text, "go", normalizer=normalizer)


def test_the_english_normalizer_makes_spellings_equal() -> None:
    found = words(
        "I can't see thirty six colours", "i can not see 36 colors", language="en"
    )
    assert found.errors.wrong == 0
    assert found.normalizer.startswith("english/")
    assert words("it's grey", "it is gray", language="en").errors.wrong == 0
    assert words("it's grey", "it is gray", normalizer=BASIC).errors.wrong > 0


def test_the_name_of_a_third_party_normalizer_has_its_version() -> None:
    own = Normalizer("digits", "3", lambda text: text.replace("two", "2"))
    assert words("two", "2", normalizer=own).normalizer == "digits/3"
    assert words("two", "2", normalizer=own).errors == Errors(hits=1)


def test_an_alignment_can_be_read() -> None:
    found = words("turn left now please go", "turn lift please go do", normalizer=NONE)
    assert lines(found).splitlines() == [
        "ref: turn left now please go **",
        "hyp: turn lift *** please go do",
        "          S    D             I",
    ]


def test_an_alignment_without_errors_has_two_lines() -> None:
    assert lines(words("go on", "go on")) == "ref: go on\nhyp: go on"
    assert lines(words("", "")) == ""


def test_an_alignment_by_characters_has_no_blanks() -> None:
    found = words("今日は", "今は日", normalizer=NONE)
    assert lines(found).splitlines()[0] in ("ref: 今日は**", "ref: 今**日は")


@given(
    st.lists(st.tuples(st.text("ab中\u0301", min_size=1), st.booleans())),
    st.integers(20, 90),
    st.sampled_from(TextUnit),
)
@example([("a" * 14, False)] * 20, 20, TextUnit.WORD)  # with lines that are left out
def test_no_line_is_wider_than_requested(
    tokens: list[tuple[str, bool]], width: int, unit: TextUnit
) -> None:
    pairs = [Pair(text, text if same else None) for text, same in tokens]
    for line in lines(Alignment(unit, "none/1", tuple(pairs)), width=width).split("\n"):
        assert sum(2 if c == "中" else c != "\u0301" for c in line) <= width


def test_a_long_word_is_cut_and_controls_are_not_shown() -> None:
    found = words("a" * 200, "\x1b[31m", normalizer=NONE)
    ref, hyp, mark = lines(found, width=30).splitlines()
    assert ref == "ref: " + "a" * 22 + "..."
    assert hyp == "hyp: \ufffd[31m"
    assert mark == "     S"


def test_a_width_that_is_too_narrow_is_refused() -> None:
    with pytest.raises(ValueError, match="width=19 is too narrow"):
        lines(words("a", "a"), width=19)


# What a long session costs


def long(count: int, *, again: int) -> tuple[Timeline, Utterance]:
    """Return a session of ``count`` partials and its utterance.

    Each partial repeats the last ``again`` characters of the text before it.
    """
    names = ("go", "forward", "ten", "meters", "turn", "left")
    said = [names[n * n % 6] for n in range(count)]
    spoken = tuple(Word(name, n / 5, n / 5 + 0.1) for n, name in enumerate(said))
    events: list[Event] = []
    text = ""
    for n, name in enumerate(said, 1):
        due = 200 * n * MS
        events.append(Heard(0, RATE // 5 * n, due, due, due, RATE // 5 * 2))
        before = max(0, len(text) - again)
        text = f"{text[before:]} {name}" if n % 10 else f"{text[before:]} uh"
        events.append(Partial(0, due + 50 * MS, before, text))
        text = " " * before + text  # only its length counts, and its end
    events.append(Final(0, 200 * (count + 9) * MS, " ".join(said)))
    end = End(Ending.CLOSED_BY_US, 200 * (count + 9) * MS)
    clip = Utterance("long", " ".join(said), silence(0.1), spoken, "en")
    return Timeline(RATE, 0, 0, tuple(events), end), clip


@pytest.mark.parametrize("again", [0, 12])
def test_the_cost_grows_linearly_with_the_partials(again: int) -> None:
    few, many = long(300, again=again), long(1_200, again=again)

    def calls(session: Timeline, clip: Utterance) -> int:
        """Return the number of function calls; unlike time, it never varies."""
        count = 0

        def called(frame: FrameType, event: str, argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(called)
        try:
            measure(replace(session), clip)  # without what is known of it already
        finally:
            sys.setprofile(before)
        return count

    def peak(session: Timeline, clip: Utterance) -> int:
        tracemalloc.start()
        measure(replace(session), clip)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    measure(*long(50, again=again))  # what is done once in a run
    assert calls(*many) < 5 * calls(*few)
    # Between 4 times (linear) and 16 times (quadratic); caches make it vary.
    assert peak(*many) < 8 * peak(*few)
