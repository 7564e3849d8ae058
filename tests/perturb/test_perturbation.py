"""Properties of every perturbation: names, seeds, times, full scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_realtime_asr.audio import Audio, from_float, silence
from pytest_realtime_asr.corpus import Corpus, Utterance, Word, load
from pytest_realtime_asr.perturb import (
    PerturbationError,
    babble,
    chain,
    dither,
    gain,
    lead_silence,
    noise,
    packet_loss,
    speed,
)

steady = settings(deadline=None, derandomize=True, max_examples=40)
ENGLISH = load("bundled:english")
CLIP = ENGLISH["go-forward"]
EVERY = (
    "noise:10dB",
    "babble:10dB:talkers=2",
    "dither",
    "gain:-6dB",
    "clipping:5%",
    "telephone",
    "packet-loss:5%",
    "reverberation:300ms",
    "speed:110%",
    "lead-silence:500ms",
)


def perturbed(text: str, utterance: Utterance = CLIP) -> Utterance:
    """The utterance after a chain; the voices of babble are the bundled ones."""
    for step in chain.parse(text):
        utterance = step(ENGLISH)(utterance)
    return utterance


def tone(id: str, period: float, *words: Word) -> Utterance:
    """A tone of half a second."""
    samples = np.sin(np.arange(8000) / period) / 2
    return Utterance(id, id, from_float(samples, 16000), words=words)


def test_every_perturbation_is_tried() -> None:
    assert sorted(each.partition(":")[0] for each in EVERY) == list(chain.NAMES)


@pytest.mark.parametrize("text", EVERY)
def test_a_perturbation_keeps_text_language_and_speaker(text: str) -> None:
    found = perturbed(text)
    for name in ("text", "language", "speaker", "synthetic"):
        assert getattr(found, name) == getattr(CLIP, name)
    assert [word.text for word in found.words] == [word.text for word in CLIP.words]
    assert found.audio != CLIP.audio


@pytest.mark.parametrize("text", EVERY)
def test_the_id_of_an_utterance_contains_its_perturbation(text: str) -> None:
    found = perturbed(text)
    name = text.partition(":")[0]
    assert found.perturbation.startswith(f"{name}/1")
    assert found.id == f"{found.perturbation}+go-forward"
    assert (found.clip, found.original) == ("go-forward", CLIP)


def test_the_name_contains_all_parameters() -> None:
    names = {
        str(each)
        for each in (
            noise("10 dB", seed=3),
            babble(ENGLISH, "2.5dB", talkers=4, seed=2),
            packet_loss("5%"),
            speed("90%"),
            gain("-6dB"),
        )
    }
    assert names == {
        "noise/1:10dB:seed=3",
        f"babble/1:2.5dB:talkers=4:voices={ENGLISH.digest[:8]}:seed=2",
        "packet-loss/1:5%:packet=20ms:seed=1",
        "speed/1:90%",
        "gain/1:-6dB",
    }


def test_a_chain_names_all_its_steps_in_their_order() -> None:
    found = perturbed("telephone,noise:10dB")
    assert found.id == "telephone/1+noise/1:10dB:seed=1+go-forward"
    assert found.original == CLIP


@pytest.mark.parametrize("text", EVERY)
def test_the_same_call_gives_the_same_audio(text: str) -> None:
    assert perturbed(text) == perturbed(text)


# If one of these changes, the audio of the same name has changed: raise the version.
@pytest.mark.parametrize(
    ("text", "digest"),
    [
        ("noise:10dB", "12e74c953aec351e"),
        ("packet-loss:20%", "427d52378549efd5"),
        ("dither", "ec14c27c83053f02"),
        ("babble:10dB:talkers=2", "1cdd24d40aaca1b9"),
    ],
)
def test_the_audio_is_the_same_on_every_machine(text: str, digest: str) -> None:
    before = tone("one", 20, Word("one", 0.1, 0.4))
    voices = Corpus("two", (tone("5", 5), tone("9", 9)))
    (step,) = chain.parse(text)
    assert step(voices)(before).audio.digest == digest


@pytest.mark.parametrize("text", ["noise:10dB", "babble:10dB", "dither"])
def test_another_seed_or_utterance_has_another_noise(text: str) -> None:
    twin = replace(CLIP, id="twin")
    added = {
        (perturbed(chosen, each).audio.array - each.audio.array).tobytes()
        for chosen in (text, f"{text}:seed=2")
        for each in (CLIP, twin)
    }
    assert len(added) == 4


@pytest.mark.parametrize("text", EVERY)
def test_no_other_utterance_changes_the_audio(text: str) -> None:
    among = chain.apply(ENGLISH, [text])["go-forward"]
    turned = Corpus("turned", tuple(reversed(ENGLISH.utterances)))
    assert chain.apply(turned, [text])["go-forward"].audio == among.audio
    assert perturbed(text).audio == among.audio


def test_less_noise_is_the_same_noise() -> None:
    loud, quiet = (
        perturbed(f"noise:{snr}dB").audio.array.astype(float) - CLIP.audio.array
        for snr in (0, 20)
    )
    assert np.abs(loud / 10 - quiet).max() <= 0.6  # rounded to steps of PCM16


def test_the_located_speech_stays_even_if_noise_hides_it() -> None:
    timeless = replace(CLIP, words=())
    hidden = perturbed("noise:-10dB", timeless)
    where = (timeless.speech_start, timeless.speech_end)
    assert (hidden.speech_start, hidden.speech_end) == where
    assert replace(hidden, located=None).speech_start != where[0]
    assert hidden.speech_by == "energy"
    later = perturbed("lead-silence:1s", hidden)
    assert later.speech_start == pytest.approx((timeless.speech_start or 0) + 1)


@given(snr=st.integers(-40, 0), seed=st.integers(0, 2**32 - 1))
@steady
def test_audio_over_full_scale_is_attenuated_with_a_note(snr: int, seed: int) -> None:
    found = noise(f"{snr}dB", seed=seed)(CLIP)
    peak = np.abs(found.audio.array.astype(int)).max()
    if "attenuated" in found.perturbation:
        assert 32768 * 10 ** (-1 / 20) - 1 <= peak <= 32768  # no dB too many
        assert found.id.endswith("dB+go-forward")
    else:
        assert peak < 32767
    assert (np.abs(found.audio.array.astype(int)) >= 32767).sum() <= 1


def test_full_scale_itself_is_not_attenuated() -> None:
    edges = Audio(np.array([-32768, 32767], "<i2").tobytes(), 8000)
    full = Utterance("full", "", edges)
    found = lead_silence("0ms")(full)
    assert found.audio == full.audio
    assert found.perturbation == "lead-silence/1:0ms"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: noise("10"), r"^noise: snr: '10' is not a level: write .* '10dB'"),
        (lambda: noise("90dB"), r"^noise: snr: 90dB .* from -40dB to 80dB$"),
        (lambda: noise("1dB", seed=-1), "^noise: seed: -1 .* from 0 to 4294967295$"),
        (lambda: noise("1dB", seed=True), "^noise: seed: True cannot"),
        (lambda: babble(ENGLISH, "1dB", talkers=0), "^babble: talkers: 0 .* 1 to 100$"),
        (lambda: packet_loss("5"), "^packet-loss: '5' is not a share: .* '5%'$"),
        (lambda: packet_loss("101%"), "from 0% to 100%$"),
        (lambda: packet_loss("5%", packet="0ms"), "packet: 0ms .* from 1ms to 1s$"),
        (lambda: speed("49%"), "from 50% to 200%$"),
        (lambda: lead_silence("1"), "'1' is not a duration"),
        (lambda: dither(seed=2**32), "^dither: seed"),
        (lambda: noise("nandB"), "is not a level"),
    ],
)
def test_a_wrong_quantity_is_refused(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(PerturbationError, match=said):
        make()


@pytest.mark.parametrize(
    ("others", "advice"),
    [(0, "has 0; give a larger corpus"), (2, "has 2; give talkers=2 or a larger")],
)
def test_babble_needs_as_many_other_utterances(others: int, advice: str) -> None:
    voices = Corpus("few", tuple(ENGLISH)[: others + 1])
    with pytest.raises(PerturbationError, match=advice):
        babble(voices, "10dB", talkers=3)(next(iter(voices)))


@pytest.mark.parametrize(
    "text", ["noise:10dB", "babble:10dB", "clipping:5%", "reverberation:300ms"]
)
def test_without_speech_there_is_no_level(text: str) -> None:
    mute = Utterance("mute", "", silence(1.0))
    with pytest.raises(PerturbationError, match=r"^mute: the utterance has no speech"):
        perturbed(text, mute)
    timed = Utterance("mute", "one", silence(1.0), words=(Word("one", 0.2, 0.8),))
    with pytest.raises(PerturbationError, match=r"^mute: .* speech are 0"):
        perturbed(text, timed)
    empty = Utterance("empty", "", Audio(b"", 16000))
    with pytest.raises(
        PerturbationError, match=r"^empty: the utterance has no audio; "
    ):
        perturbed(text, empty)
