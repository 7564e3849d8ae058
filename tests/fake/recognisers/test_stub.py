"""The stub recogniser: text from PCM of any rate and in any pieces, without a loop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_realtime_asr import StubRecogniser
from pytest_realtime_asr.corpus import Corpus, CorpusError, load, nemo


@pytest.fixture(scope="module")
def english() -> Corpus:
    return load("bundled:english")


@pytest.fixture(scope="module")
def stub(english: Corpus) -> StubRecogniser:
    return StubRecogniser(english)


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000])
@pytest.mark.parametrize("chunk", [320, 4801])  # 4801 bytes end in half a sample
def test_a_clip_gives_its_words_while_it_is_fed(
    rate: int, chunk: int, stub: StubRecogniser, english: Corpus
) -> None:
    clip = english["go-forward"]
    pcm = clip.audio.resample(rate).pcm
    stream = stub.listen(rate=rate)
    parts = [stream.feed(pcm[at : at + chunk]) for at in range(0, len(pcm), chunk)]
    early = stream.text
    parts.append(stream.finish())
    assert "".join(parts) == stream.text == clip.text
    assert early.split() == clip.text.split()[: len(early.split())] != []


def test_streams_share_nothing(stub: StubRecogniser, english: Corpus) -> None:
    clips = [english["go-forward"], english["turn-left"]]
    streams = [stub.listen() for _ in clips]
    audio = [clip.audio.resample(16_000).pcm for clip in clips]
    for at in range(0, max(map(len, audio)), 3200):
        for stream, pcm in zip(streams, audio, strict=True):
            stream.feed(pcm[at : at + 3200])
    for stream, clip in zip(streams, clips, strict=True):
        stream.finish()
        assert stream.text == clip.text


def test_silence_gives_no_words_and_other_sound_gives_made_up_words(
    stub: StubRecogniser,
) -> None:
    silent, other = stub.listen(), stub.listen()
    assert silent.feed(bytes(32_000)) + silent.finish() == ""
    pcm = load("bundled:languages")["german-time"].audio.resample(16_000).pcm
    assert (other.feed(pcm) + other.finish()).split()


def test_a_stream_without_audio_has_no_words(stub: StubRecogniser) -> None:
    assert stub.listen().finish() == ""


def test_a_stream_ends_once(stub: StubRecogniser) -> None:
    stream = stub.listen()
    stream.finish()
    for call in (stream.finish, lambda: stream.feed(b"\0\0")):
        with pytest.raises(ValueError, match=r"has ended; call StubRecogniser\.listen"):
            call()


def test_a_corpus_is_named_or_given(english: Corpus, tmp_path: Path) -> None:
    clip = english["open-door"]
    nemo.write(tmp_path, Corpus("one", (clip,)))
    pcm = clip.audio.resample(16_000).pcm
    named = str(tmp_path / nemo.NAME)
    for given in (named, tmp_path / nemo.NAME, [clip], "bundled:english"):
        stream = StubRecogniser(given).listen()
        assert stream.feed(pcm) + stream.finish() == clip.text
    with pytest.raises(CorpusError, match="no such corpus"):
        StubRecogniser("bundled:none")


def test_it_imports_neither_pytest_nor_scipy() -> None:
    """A server may import it at its start, with pytest and scipy not installed."""
    code = (
        "import sys; sys.modules.update(pytest=None, _pytest=None, scipy=None);"
        "from pytest_realtime_asr import StubRecogniser;"
        "assert StubRecogniser('bundled:odd').listen().finish() == '';"
        "assert not {'pytest', 'scipy', 'hypothesis'} & "
        "{name for name, module in sys.modules.items() if module}"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
