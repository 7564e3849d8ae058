"""Faults that misread the audio, and how the suite finds the cause of wrong texts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from pytest_realtime_asr import corpus
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.conformance import wrong_texts
from pytest_realtime_asr.conformance.wrong_texts import Misreading, Texts
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.fake.faults import Faults
from pytest_realtime_asr.fake.recognisers.recogniser import RecognisedWord
from pytest_realtime_asr.fake.recognisers.scripted import ScriptedRecogniser
from tests.support.servers import VLLM

NAMES = {
    "reads-too-fast": Misreading.FASTER,
    "reads-too-slow": Misreading.SLOWER,
    "swaps-bytes": Misreading.SWAPPED,
}
RATE = 16_000
ENGLISH = corpus.load("bundled:english")
CLIPS = [ENGLISH[name] for name in ("turn-right", "open-door", "go-forward")]
RECOGNISER = ScriptedRecogniser(ENGLISH)
CLIP = Utterance("a", "turn right and stop", silence(1.0), language="en")


def heard(utterances: Iterable[Utterance], *faults: str) -> Texts:
    """Return the texts of utterances on a server with these faults."""
    return [(each, asyncio.run(_text(each, *faults))) for each in utterances]


async def _text(utterance: Utterance, *faults: str) -> str:
    server = Faults(faults).wrap(VLLM.server(["m"]))
    caller = VLLM.caller("m", {})
    for frame in (*caller.configure(), *caller.begin()):
        server.hear(frame)
    listener = await RECOGNISER.listen()
    words: list[RecognisedWord] = []
    for pcm in utterance.audio.resample(RATE).chunks(0.1):
        frame = bytes(caller.append(pcm)).decode()
        words += await listener.hear(server.hear(frame).audio)
    words += await listener.finish()
    return " ".join(word.text for word in words)


@pytest.mark.parametrize("name", NAMES)
def test_the_cause_is_found_by_clips_in_the_form_that_the_server_takes(
    name: str,
) -> None:
    assert wrong_texts.error_rate(heard(CLIPS)) == 0
    texts = heard(CLIPS, name)
    assert (wrong_texts.error_rate(texts) or 0) > wrong_texts.FAILS
    causes = wrong_texts.causes(texts, RATE, lambda clips: heard(clips, name))
    (found,) = (each for each in causes if ": with audio changed to" in each)
    assert found.startswith(f"the server {NAMES[name].value}: with audio changed to")
    assert "3 clips have a WER of 0% instead of" in found


@pytest.mark.parametrize(
    ("text", "reference", "found"),
    [
        ("turnrightandstop", CLIP.text, ["words are joined or divided: without blan"]),
        ("turn\x00 left\x1b", CLIP.text, ["texts have control characters: U+0000, "]),
        (
            "\u043f\u043e\u0432\u043e\u0440\u043e\u0442",
            CLIP.text,
            ["the texts are in another language: they are written in CYRILLIC l"],
        ),
        ("something else", CLIP.text, []),
        ("", CLIP.text, []),
    ],
)
def test_some_causes_show_in_the_texts(
    text: str, reference: str, found: list[str]
) -> None:
    causes = wrong_texts.shown([(replace(CLIP, text=reference), text)])
    assert [each[: len(start)] for each, start in zip(causes, found, strict=True)] == (
        found
    )


def test_examples_are_aligned() -> None:
    assert wrong_texts.examples([(CLIP, "turn left and")]) == (
        "ref: turn right and stop\nhyp: turn left  and *\n          S         D"
    )
