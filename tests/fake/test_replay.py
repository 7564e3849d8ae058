"""Replay without a socket: which recording is chosen, and when its answers are due."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.audio import Audio
from pytest_realtime_asr.audio.pcm import join, silence
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import audio_frame
from pytest_realtime_asr.fake.recorded_session import Close, recorded_session
from pytest_realtime_asr.fake.replay import PATIENCE, NotRecorded, Recordings, Replay
from pytest_realtime_asr.trace.records import End, Ending, Trace
from tests.support.recordings import (
    COMMIT,
    CREATED,
    FINISH,
    MS,
    UPDATE,
    Sent,
    delta,
    done,
    recorded,
)
from tests.support.servers import VLLM

ENGLISH = corpus.load("bundled:english")
RIGHT, LEFT = ENGLISH["turn-right"], ENGLISH["turn-left"]
LONGER = replace(RIGHT, id="longer", source=join(RIGHT.audio, LEFT.audio))
RATE = VLLM.rate
CARRIED = VLLM.caller("", {})


def answers(word: str) -> list[Sent]:
    return [Sent(delta(word), 30, ms=500), Sent(done(word), 250)]


ONE = recorded(RIGHT, answers("right"))
TWO = recorded(LEFT, answers("left"), number=2)


def recordings(*traces: Trace) -> Recordings:
    return Recordings(VLLM, [recorded_session(trace, VLLM) for trace in traces])


def say(
    replay: Replay, audio: Audio, *, chunk: int = 100, begin: int = 1000
) -> list[tuple[int, object]]:
    """Send a whole session at pace 1 from ``begin`` ms on; return its answers in ms."""
    replay.open(begin * MS)
    replay.hear(UPDATE, begin * MS)
    replay.hear(COMMIT, begin * MS)
    step = RATE * chunk // 1000
    for start in range(0, audio.samples, step):
        stop = min(start + step, audio.samples)
        at = begin * MS + stop * 1000 * MS // RATE
        patience = replay.patience()
        if patience is not None and patience <= at:
            replay.lose_patience(patience)
        pcm = audio.pcm[2 * start : 2 * stop]
        replay.hear(audio_frame(CARRIED, pcm), at)
    replay.hear(FINISH, begin * MS + audio.samples * 1000 * MS // RATE)
    return [(due.at // MS - begin, due.content) for due in replay.due]


def length(clip: Utterance) -> int:
    """The length of a clip in ms."""
    return clip.audio.resample(RATE).samples * 1000 // RATE


@pytest.mark.parametrize("chunk", [20, 100, 250])
def test_answers_follow_their_cause(chunk: int) -> None:
    found = say(Replay(recordings(ONE, TWO)), RIGHT.audio.resample(RATE), chunk=chunk)
    assert found == [
        (2, CREATED % 1),
        (530, delta("right")),
        (length(RIGHT) + 250, done("right")),
    ]


def test_long_chunk_delays_the_answers_to_its_audio() -> None:
    found = say(Replay(recordings(ONE)), RIGHT.audio.resample(RATE), chunk=1000)
    assert found[1] == (1030, delta("right"))


def test_without_timing_each_answer_comes_at_once() -> None:
    audio = RIGHT.audio.resample(RATE)
    found = say(Replay(recordings(ONE), timed=False), audio)
    assert [at for at, _ in found] == [0, 500, length(RIGHT)]


def test_answers_keep_their_order() -> None:
    early = [Sent(delta("a"), 900, ms=500), Sent(done("a"), 0)]
    trace = recorded(RIGHT, early)
    found = say(Replay(recordings(trace)), RIGHT.audio.resample(RATE), chunk=1000)
    times = [at for at, _ in found]
    assert times == sorted(times)


def test_recording_is_chosen_by_the_audio() -> None:
    found = say(Replay(recordings(ONE, TWO)), LEFT.audio.resample(RATE))
    assert [content for _, content in found][1:] == [delta("left"), done("left")]


def test_the_announced_session_id_is_kept_in_later_answers() -> None:
    named = Sent('{"type":"error","error":"sess-2 is slow"}', 30, ms=600)
    two = recorded(LEFT, [*answers("left"), named], number=2)
    found = say(Replay(recordings(ONE, two)), LEFT.audio.resample(RATE))
    assert found[0][1] == CREATED % 1
    assert found[2][1] == named.frame.replace("sess-2", "sess-1")


def test_announced_audio_chooses_from_the_start() -> None:
    replay = Replay(recordings(ONE, TWO), audio=LEFT.audio.digest)
    assert say(replay, LEFT.audio.resample(RATE))[0][1] == CREATED % 2


def test_announced_audio_that_was_not_recorded() -> None:
    replay = Replay(recordings(ONE), audio=LEFT.audio.digest)
    with pytest.raises(NotRecorded, match="no recording has this audio"):
        say(replay, LEFT.audio.resample(RATE))
    assert [due.content for due in replay.due] == [CREATED % 1]


def test_recordings_of_one_clip_are_used_in_turn() -> None:
    own = recordings(*(recorded(RIGHT, answers(str(n)), number=n) for n in (3, 1, 2)))
    audio = RIGHT.audio.resample(RATE)
    texts = [say(Replay(own), audio)[-1][1] for _ in range(4)]
    assert texts == [done(str(n)) for n in (1, 2, 3, 1)]


def test_audio_that_was_not_recorded() -> None:
    own = recordings(ONE)
    with pytest.raises(NotRecorded, match=r"differs from every recording after 0\.\d"):
        say(Replay(own), LEFT.audio.resample(RATE))
    assert not +own.used  # a later session begins with the first recording again


def test_quieter_audio_was_not_recorded() -> None:
    audio = RIGHT.audio.resample(RATE)
    quiet = Audio((audio.array // 2).tobytes(), RATE)
    with pytest.raises(NotRecorded, match="the audio differs"):
        say(Replay(recordings(ONE)), quiet)


def test_audio_that_ends_early_was_not_recorded() -> None:
    audio = RIGHT.audio.resample(RATE)
    with pytest.raises(NotRecorded, match="before the end of the recorded audio"):
        say(Replay(recordings(ONE)), audio.cut(0, 1.0))


def test_audio_that_goes_on_was_not_recorded() -> None:
    longer = LONGER.audio.resample(RATE)
    with pytest.raises(NotRecorded, match="more audio than the recorded client"):
        say(Replay(recordings(ONE)), longer)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([COMMIT], r"sent input_audio_buffer\.commit, but .* sent session\.update"),
        ([UPDATE, UPDATE], "but the recorded client sent input_audio_buffer.commit"),
        ([UPDATE, COMMIT, COMMIT], "but the recorded client sent audio"),
        (["?"], "the client sent malformed, but"),
    ],
)
def test_other_frames_were_not_recorded(frames: list[str], message: str) -> None:
    replay = Replay(recordings(ONE))
    replay.open(0)
    *first, last = frames
    for frame in first:
        replay.hear(frame, 0)
    with pytest.raises(NotRecorded, match=message):
        replay.hear(last, 0)


def test_frame_after_the_recording() -> None:
    replay = Replay(recordings(ONE))
    say(replay, RIGHT.audio.resample(RATE))
    with pytest.raises(NotRecorded, match="after the end of the recording"):
        replay.hear(COMMIT, 5000 * MS)


def test_silence_after_the_audio_is_no_difference() -> None:
    audio = RIGHT.audio.resample(RATE)
    padded = join(audio, silence(0.25, rate=RATE))
    assert say(Replay(recordings(ONE)), padded)[-1][1] == done("right")


def test_end_of_the_connection_is_replayed() -> None:
    end = End(Ending.CLOSED_BY_PEER, ONE.records[-1].at + 40 * MS, 1011, "busy")
    found = say(Replay(recordings(replace(ONE, end=end))), RIGHT.audio.resample(RATE))
    assert found[-1] == (length(RIGHT) + 290, Close(1011, "busy"))


def both(first: Iterable[Sent], second: Iterable[Sent]) -> Recordings:
    """Recordings of a clip alone, and of the clip and another one without a pause."""
    return recordings(recorded(RIGHT, first), recorded(LONGER, second, number=2))


def test_answers_wait_until_the_audio_is_certain() -> None:
    late = [Sent(delta("a"), 30, ms=1200), Sent(done("a"), 250)]
    own = both(late, [Sent(delta("b"), 30, ms=1200), Sent(done("b"), 250)])
    found = say(Replay(own), RIGHT.audio.resample(RATE))
    assert found[1:] == [(1230, delta("a")), (length(RIGHT) + 250, done("a"))]
    found = say(Replay(own), LONGER.audio.resample(RATE))
    assert [content for _, content in found][1:] == [delta("b"), done("b")]


def test_answers_do_not_wait_longer_than_the_patience() -> None:
    own = both(answers("a"), answers("b"))
    replay = Replay(own)
    audio = RIGHT.audio.resample(RATE)
    replay.open(0)
    for frame in (UPDATE, COMMIT, audio_frame(CARRIED, audio.pcm[: RATE * 3 // 2])):
        replay.hear(frame, 0)
    assert [due.content for due in replay.due] == [CREATED % 1]
    patience = replay.patience()
    assert patience == PATIENCE * 1e9
    replay.lose_patience(patience)
    assert [due.content for due in replay.due] == [CREATED % 1, delta("a")]
    assert replay.patience() is None
