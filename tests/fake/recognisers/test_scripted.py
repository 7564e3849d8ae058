from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.audio import Audio, from_float
from pytest_realtime_asr.corpus import Corpus, Utterance, Word
from pytest_realtime_asr.fake.recognisers.recogniser import (
    Listener,
    RecognisedWord,
    Recogniser,
)
from pytest_realtime_asr.fake.recognisers.scripted import ScriptedRecogniser

RATE = 16000
Samples = npt.NDArray[np.int16]


@pytest.fixture(scope="module")
def english() -> Corpus:
    return corpus.load("bundled:english")


@pytest.fixture(scope="module")
def script(english: Corpus) -> ScriptedRecogniser:
    return ScriptedRecogniser(english)


def timed(
    script: Recogniser, samples: Samples, *, chunk: int = 1600
) -> list[tuple[RecognisedWord, int | None]]:
    """Return each word and the samples heard by then, ``None`` for the end."""

    async def session() -> list[tuple[RecognisedWord, int | None]]:
        listener: Listener = await script.listen()
        words: list[tuple[RecognisedWord, int | None]] = []
        for start in range(0, len(samples), chunk):
            part = samples[start : start + chunk]
            for word in await listener.hear(part.tobytes()):
                words.append((word, start + len(part)))
        words += [(word, None) for word in await listener.finish()]
        await listener.close()
        return words

    return asyncio.run(session())


def spoken(
    script: Recogniser, samples: Samples, *, chunk: int = 1600
) -> list[RecognisedWord]:
    return [word for word, _ in timed(script, samples, chunk=chunk)]


def text(script: Recogniser, *parts: Samples, chunk: int = 1600) -> str:
    words = spoken(script, np.concatenate(parts), chunk=chunk)
    return " ".join(word.text for word in words)


def samples(audio: Audio) -> Samples:
    return audio.resample(RATE).array


def still(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.int16)


def noise(level: float, seconds: float) -> Samples:
    """Return white noise at ``level`` dBFS."""
    steps = np.random.default_rng(7).standard_normal(round(seconds * RATE))
    return from_float(steps * 10 ** (level / 20), RATE).array


def tone(seconds: float) -> Samples:
    times = np.arange(round(seconds * RATE)) / RATE
    return from_float(0.3 * np.sin(2 * np.pi * 440 * times), RATE).array


def louder(audio: Audio, gain: float) -> Audio:
    """Return the audio with a gain, clipped at full scale."""
    floats = audio.array.astype(np.float32) / 32768
    return from_float(floats * np.float32(10 ** (gain / 20)), audio.rate)


def copy(audio: Audio, *, rate: int = RATE, gain: float = 0.0) -> Samples:
    """Return the samples after a conversion to another rate and gain."""
    return samples(louder(audio, gain).resample(rate))


def check(
    script: ScriptedRecogniser,
    utterance: Utterance,
    copied: Samples,
    offset: float,
    chunk: int,
) -> None:
    """Check the words, each within 20 ms of its true start and end."""
    stream = np.concatenate([still(offset), copied])
    words = timed(script, stream, chunk=chunk)
    assert [word.text for word, _ in words] == utterance.text.split()
    for (word, heard), true in zip(words, utterance.words, strict=True):
        end = (offset + true.end) * RATE
        assert abs(word.end - end) < 0.02 * RATE
        assert abs(word.start - (offset + true.start) * RATE) < 0.02 * RATE
        assert heard is None or heard >= end
        assert word.end <= len(stream)


RATES = (8000, 16000, 24000, 44100, 48000)
GAINS = (-20.0, 0.0)
OFFSETS = (0.0, 0.137, 1.0)
CHUNKS = (320, 1009, 1600, 16000)


@pytest.mark.parametrize(
    ("rate", "gain", "offset", "chunk"),
    [
        (8000, -20.0, 0.137, 1009),
        (16000, 0.0, 0.0, 320),
        pytest.param(24000, -20.0, 1.0, 16000, marks=pytest.mark.slow),
        pytest.param(44100, 0.0, 0.137, 1600, marks=pytest.mark.slow),
        pytest.param(48000, -30.0, 0.0, 1009, marks=pytest.mark.slow),
        pytest.param(16000, 6.0, 0.005, 1600, marks=pytest.mark.slow),
    ],
)
def test_every_clip_gives_its_words(
    script: ScriptedRecogniser,
    english: Corpus,
    rate: int,
    gain: float,
    offset: float,
    chunk: int,
) -> None:
    for utterance in english:
        copied = copy(utterance.audio, rate=rate, gain=gain)
        check(script, utterance, copied, offset, chunk)


@pytest.mark.slow
@pytest.mark.parametrize("rate", RATES)
def test_every_clip_is_recognised_at_each_rate_gain_and_chunk(
    script: ScriptedRecogniser, english: Corpus, rate: int
) -> None:
    """Check each clip in every fourth way; the next clip starts at the next way."""
    ways = list(itertools.product(CHUNKS, OFFSETS, GAINS))
    for number, utterance in enumerate(english):
        for chunk, offset, gain in ways[number % 4 :: 4]:
            copied = copy(utterance.audio, rate=rate, gain=gain)
            check(script, utterance, copied, offset, chunk)


@pytest.mark.parametrize("name", ["odd", "languages"])
def test_other_bundled_corpora_together_with_english(
    english: Corpus, name: str
) -> None:
    other = corpus.load(f"bundled:{name}")
    both = ScriptedRecogniser([*other, *english])
    for utterance in other:
        assert text(both, samples(utterance.audio)) == utterance.text
    assert text(both, samples(english["digits-room"].audio)) == (
        english["digits-room"].text
    )


def test_the_cut_into_chunks_changes_nothing(
    script: ScriptedRecogniser, english: Corpus
) -> None:
    stream = np.concatenate(
        [noise(-30, 0.5), still(0.4), samples(english["digits-phone"].audio), tone(0.3)]
    )
    whole = spoken(script, stream, chunk=len(stream))
    assert len(whole) == 9
    assert [spoken(script, stream, chunk=n) for n in (7, 333, 4001)] == [whole] * 3


def test_words_come_within_50_ms_of_their_end(
    script: ScriptedRecogniser, english: Corpus
) -> None:
    utterance = english["prose-doctor"]
    words = timed(script, samples(utterance.audio), chunk=320)
    late = [
        heard - word.end if heard is not None else 0
        for (word, heard), true in zip(words, utterance.words, strict=True)
        if true.end > utterance.words[0].start + 0.4
    ]
    assert max(late) <= 0.05 * RATE


def test_several_clips_in_one_utterance(
    script: ScriptedRecogniser, english: Corpus
) -> None:
    ids = ("turn-left", "turn-left", "digits-four", "call-sister", "turn-left")
    parts: list[Samples] = []
    ends: list[float] = []
    at = 0
    for id in ids:
        clip = samples(english[id].audio)
        ends += [at + word.end * RATE for word in english[id].words]
        parts += [clip, still(0.3)]
        at += len(clip) + round(0.3 * RATE)
    words = spoken(script, np.concatenate(parts))
    assert [word.text for word in words] == [
        word for id in ids for word in english[id].text.split()
    ]
    assert (
        max(abs(word.end - end) for word, end in zip(words, ends, strict=True))
        < 0.02 * RATE
    )


def test_a_clip_that_was_cut_gives_the_words_left(
    script: ScriptedRecogniser, english: Corpus
) -> None:
    utterance = english["prose-bridge"]
    clip = samples(utterance.audio)
    words = utterance.text.split()
    for number in (4, 9, 14):
        cut = round(utterance.words[number].start * RATE)
        before, after = " ".join(words[:number]), " ".join(words[number:])
        assert text(script, clip[:cut]) == before
        assert text(script, clip[:cut], still(1.0)) == before
        assert text(script, clip[cut:]) == after
        assert text(script, still(0.5), clip[cut:]) == after


def test_a_word_that_was_mostly_heard_counts(
    script: ScriptedRecogniser, english: Corpus
) -> None:
    utterance = english["digits-seven"]
    clip = samples(utterance.audio)
    five = utterance.words[4]
    length = five.end - five.start
    most = clip[: round((five.start + 0.75 * length) * RATE)]
    words = spoken(script, most)
    assert [word.text for word in words] == ["one", "two", "three", "four", "five"]
    assert words[-1].end <= len(most)
    little = clip[: round((five.start + 0.25 * length) * RATE)]
    assert text(script, little) == "one two three four"


def test_a_known_clip_after_unknown_sound_is_recognised(
    script: ScriptedRecogniser, english: Corpus
) -> None:
    clip = samples(english["go-forward"].audio)
    made_up, rest = text(script, noise(-30, 0.7), still(0.3), clip).split(" ", 1)
    assert made_up not in english["go-forward"].text
    assert rest == english["go-forward"].text


def test_unknown_speech_gives_a_made_up_word(english: Corpus) -> None:
    script = ScriptedRecogniser(u for u in english if not u.id.startswith("prose-d"))
    known = {word for utterance in english for word in utterance.text.split()}
    words = text(script, samples(english["prose-doctor"].audio)).split()
    assert len(words) == 1
    assert not known & set(words)


def _spliced(id: str, *parts: tuple[Utterance, int, int]) -> Utterance:
    """Return an utterance of the words ``first`` to ``stop`` of others."""
    sound: list[Samples] = [still(0.2)]
    words: list[Word] = []
    at = 0.2
    for utterance, first, stop in parts:
        taken = utterance.words[first:stop]
        start = round(taken[0].start * RATE)
        piece = samples(utterance.audio)[start : round(taken[-1].end * RATE)]
        sound.append(piece)
        words += [
            Word(w.text, at + w.start - start / RATE, at + w.end - start / RATE)
            for w in taken
        ]
        at += len(piece) / RATE
    audio = Audio(np.concatenate([*sound, still(0.2)]).tobytes(), RATE)
    return Utterance(id, " ".join(w.text for w in words), audio, tuple(words))


def test_sentences_that_begin_alike(english: Corpus) -> None:
    seven, five = english["digits-seven"], english["digits-five"]
    alike = [
        _spliced("alone", (seven, 0, 3)),
        _spliced("on", (seven, 0, 5)),
        _spliced("other", (seven, 0, 3), (five, 1, 4)),
        _spliced("middle", (seven, 0, 1), (five, 4, 5), (seven, 2, 5)),
    ]
    script = ScriptedRecogniser(alike)
    for utterance, offset in itertools.product(alike, (0.0, 0.137)):
        copied = copy(utterance.audio, rate=8000, gain=-20)
        check(script, utterance, copied, offset, 320)
    words = timed(script, samples(alike[0].audio), chunk=320)
    assert [heard is not None for _, heard in words] == [True, True, True]


def test_the_same_sound_with_other_words_is_undecided_until_the_end(
    english: Corpus,
) -> None:
    first = english["digits-four"]
    second = Utterance("second", "never say this", first.source)
    script = ScriptedRecogniser([first, second])
    assert text(script, samples(first.audio)) == first.text


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(still(0), id="nothing"),
        pytest.param(still(3), id="silence"),
        pytest.param(noise(-55, 3), id="faint-noise"),
        pytest.param(np.ones(1, np.int16), id="one-sample"),
    ],
)
def test_silence_gives_nothing(script: ScriptedRecogniser, sound: Samples) -> None:
    assert spoken(script, sound) == []


@pytest.mark.parametrize(
    ("sound", "count"),
    [
        pytest.param([noise(-30, 2)], 1, id="noise"),
        pytest.param([tone(1)], 1, id="tone"),
        pytest.param([tone(0.06)], 1, id="blip"),
        pytest.param([tone(0.5), still(0.3), noise(-30, 0.4), still(1)], 2, id="two"),
        pytest.param([tone(0.5), still(0.1), tone(0.5)], 1, id="short-gap"),
        pytest.param([noise(-30, 12)], 3, id="long"),
    ],
)
def test_unknown_sound_gives_a_word_for_each_burst(
    script: ScriptedRecogniser, sound: list[Samples], count: int
) -> None:
    stream = np.concatenate(sound)
    words = spoken(script, stream)
    assert len(words) == count
    assert all(word.text.isascii() and word.text.isalpha() for word in words)
    assert all(0 <= word.start < word.end <= len(stream) for word in words)
    assert spoken(script, stream, chunk=333) == words


def test_a_long_burst_gives_a_word_before_its_end(script: ScriptedRecogniser) -> None:
    burst, quiet = tone(0.5), still(1.0)
    ((word, heard),) = timed(script, np.concatenate([burst, quiet]))
    assert word.end == len(burst)
    assert heard is not None
    assert heard < len(burst) + len(quiet)


def test_different_sounds_give_different_words(script: ScriptedRecogniser) -> None:
    assert text(script, tone(1)) != text(script, noise(-30, 1))


def test_streams_do_not_mix(script: ScriptedRecogniser, english: Corpus) -> None:
    ids = ("open-door", "light-off")

    async def both() -> list[str]:
        listeners = [await script.listen() for _ in ids]
        chunks = [english[id].audio.resample(RATE).chunks(0.1) for id in ids]
        words: list[list[str]] = [[], []]
        for pair in itertools.zip_longest(*chunks, fillvalue=b""):
            for listener, pcm, out in zip(listeners, pair, words, strict=True):
                out += [word.text for word in await listener.hear(pcm)]
        for listener, out in zip(listeners, words, strict=True):
            out += [word.text for word in await listener.finish()]
        return [" ".join(out) for out in words]

    assert asyncio.run(both()) == [english[id].text for id in ids]


def _as_script(
    clip: Utterance, script_text: str, words: Iterable[Word] = ()
) -> Sequence[RecognisedWord]:
    other = Utterance("clip", script_text, clip.source, tuple(words))
    return spoken(ScriptedRecogniser([other]), samples(clip.audio))


def test_words_without_times_are_spread_over_the_sound(english: Corpus) -> None:
    clip = english["digits-seven"]
    words = _as_script(clip, clip.text)
    assert [word.text for word in words] == clip.text.split()
    steps = np.diff([word.end for word in words])
    assert np.ptp(steps) <= 1
    assert abs(words[-1].end / RATE - clip.words[-1].end) < 0.1
    start = words[0].end - steps[0]
    assert abs(start / RATE - clip.words[0].start) < 0.1


def test_text_and_timed_words_may_be_cut_differently(english: Corpus) -> None:
    clip = english["digits-four"]
    times = [(word.start, word.end) for word in clip.words]

    def timed(*texts: str) -> list[Word]:
        return [Word(t, *time) for t, time in zip(texts, times, strict=False)]

    ends = [round(end * RATE) for _, end in times]
    punctuated = _as_script(clip, "Four, two; seven one!", clip.words)
    assert [word.text for word in punctuated] == ["Four,", "two;", "seven", "one!"]
    assert np.allclose([word.end for word in punctuated], ends, atol=160)
    unspaced = _as_script(clip, "今天天气", timed("今", "天", "天", "气"))
    assert [word.text for word in unspaced] == ["今天天气"]
    assert abs(unspaced[0].end - ends[-1]) <= 160
    pieces = _as_script(clip, "今天 天气", timed("今", "天", "天", "气"))
    assert [word.text for word in pieces] == ["今天", "天气"]
    assert np.allclose([word.end for word in pieces], [ends[1], ends[3]], atol=160)
    other = _as_script(clip, "one two", timed("x", "y", "z"))
    assert [word.text for word in other] == ["one", "two"]
    assert abs(other[-1].end - ends[2]) <= 160


def test_clips_without_sound_or_text(english: Corpus) -> None:
    mute = Utterance("mute", "", english["digits-four"].source)
    silent = Utterance("silent", "nothing", Audio(bytes(3200), RATE))
    empty = Utterance("empty", "nothing", Audio(b"", RATE))
    script = ScriptedRecogniser([silent, empty, mute])
    assert text(script, samples(mute.audio), still(1)) == ""
    assert text(script, still(1)) == ""


def test_an_empty_corpus_knows_nothing() -> None:
    assert len(spoken(ScriptedRecogniser([]), tone(0.5))) == 1


def test_it_can_be_closed(script: ScriptedRecogniser) -> None:
    async def close() -> None:
        listener = await script.listen()
        await listener.close()
        await listener.close()
        await script.close()

    asyncio.run(close())
    assert script.rate == RATE
