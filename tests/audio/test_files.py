"""Audio files of every kind: each is read exactly or refused."""

from __future__ import annotations

import shlex
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given

from pytest_realtime_asr.audio import (
    Audio,
    AudioError,
    Header,
    decode,
    header,
    length,
    read,
    silence,
    write,
)
from pytest_realtime_asr.audio.files import UNDECODABLE
from tests.audio.test_pcm import EVERY_STEP, ODD, audios, sine, steady

RATE = 16000
Floats = npt.NDArray[np.float64]

# The samples


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".WAV"])
def test_every_16_bit_value_is_read_back_from_a_file(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"steps{suffix}"
    audio = Audio(EVERY_STEP.tobytes(), 22050)
    write(path, audio)
    assert soundfile.info(path).subtype == "PCM_16"
    assert read(path) == audio
    assert length(path) == audio.seconds


@steady
@given(audio=audios.filter(lambda audio: audio.samples > 0))
def test_any_audio_is_read_back_from_a_file(
    tmp_path_factory: pytest.TempPathFactory, audio: Audio
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.flac"
    write(path, audio)
    assert read(path) == audio


@pytest.mark.parametrize("name", ["x.mp3", "x.ogg", "x.raw", "x.txt", "x"])
def test_write_refuses_a_format_without_16_bit_pcm(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with pytest.raises(AudioError, match=r"suffix has 16-bit PCM; use \.flac"):
        write(path, silence(1))
    assert not path.exists()


def test_write_refuses_audio_without_samples(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="there is no sample to write"):
        write(tmp_path / "x.wav", silence(0))


def test_write_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="check that the folder exists"):
        write(tmp_path / "nowhere" / "x.wav", silence(1))


def test_write_refuses_a_rate_that_the_format_does_not_support(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="cannot be written at 1000000 Hz"):
        write(tmp_path / "x.flac", silence(0.01, rate=1_000_000))


@pytest.mark.parametrize(
    ("subtype", "slack"),
    [("PCM_16", 0), ("PCM_24", 0), ("PCM_32", 0), ("PCM_U8", 256), ("ULAW", 1100)],
)
def test_every_integer_sample_format_is_read(
    tmp_path: Path, subtype: str, slack: int
) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, EVERY_STEP, 8000, subtype=subtype)
    difference = read(path).array.astype(int) - EVERY_STEP
    assert abs(difference).max() <= slack


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_every_16_bit_value_is_read_from_a_float_file(
    tmp_path: Path, subtype: str
) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, EVERY_STEP / 32768, 8000, subtype=subtype)
    assert (read(path).array == EVERY_STEP).all()


def test_stereo_is_mixed() -> None:
    audio = read(ODD / "stereo24.wav")  # -1 to 1 left, half of it reversed right
    assert (audio.rate, audio.samples) == (8000, 800)
    expected = np.linspace(-1, 1, 800) / 4 * 32768
    assert abs(audio.array - expected).max() <= 1


def test_8_bits_are_unsigned() -> None:
    audio = read(ODD / "unsigned8.wav")
    assert abs(audio.array - np.linspace(-1, 1, 800) * 32768).max() <= 256


def test_floats_over_full_scale_are_clipped() -> None:
    array = read(ODD / "loud.wav").array  # -2 to 2
    assert (array[:200] == -32768).all()
    assert (array[-200:] == 32767).all()
    assert (np.diff(array[200:-200].astype(int)) > 0).all()


def test_wav_from_a_pipe_is_read_to_its_end() -> None:
    assert read(ODD / "piped.wav").samples == 1000
    assert length(ODD / "piped.wav") == 0.125


def test_wav_with_other_chunks(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    write(path, silence(0.1))
    whole = path.read_bytes()
    odd = b"LIST" + (3).to_bytes(4, "little") + b"abc\0"
    path.write_bytes(whole[:36] + odd + whole[36:])
    assert read(path) == silence(0.1)
    path.write_bytes(whole[:36] + odd + whole[36:-100])
    with pytest.raises(AudioError, match="100 bytes of its stated length"):
        length(path)


def test_wav_without_samples_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes((ODD / "empty.wav").read_bytes()[:36])
    with pytest.raises(AudioError, match=r"x\.wav: .*; "):
        length(path)


def test_a_part_of_a_file_is_read() -> None:
    path = ODD / "tone.flac"
    whole = read(path)
    assert read(path, start=0.25) == whole.cut(0.25, 1)
    assert read(path, start=0.25, stop=0.5) == whole.cut(0.25, 0.5)
    with pytest.raises(AudioError, match=r"tone\.flac: 0\.5 to 2 s"):
        read(path, start=0.5, stop=2)


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("nowhere.wav", "there is no such file or folder; check the path"),
        ("", "this path is a folder; give a file"),
        ("empty.wav", "has no audio (0 frames)"),
        ("text.wav", "cannot be read as audio (Format not recognised.)"),
        ("cut-short.wav", "the audio is broken or truncated (1044 bytes"),
        ("piped.flac", "does not state its length"),
    ],
)
@pytest.mark.parametrize("use", [read, length])
def test_a_file_with_an_unusable_header_is_refused(
    use: Callable[[Path], object], name: str, what: str
) -> None:
    with pytest.raises(AudioError) as caught:
        use(ODD / name)
    assert str(caught.value).startswith(f"{ODD / name}: {what}")
    assert "; " in str(caught.value)  # and what to do


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("cut-short.flac", "the audio is broken or truncated"),
        (
            "cut-short.mp3",
            "the audio is broken or truncated (it has only 623 of 8000 frames",
        ),
        ("nan.wav", "a sample is not a finite number"),
    ],
)
def test_a_file_with_unusable_audio_data_is_refused(name: str, what: str) -> None:
    assert length(ODD / name) > 0
    with pytest.raises(AudioError) as caught:
        read(ODD / name)
    assert str(caught.value).startswith(f"{ODD / name}: {what}")
    assert "; " in str(caught.value)


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    shutil.copy(ODD / "tone.flac", tmp_path / "x.raw")
    with pytest.raises(AudioError, match="cannot be read as audio"):
        read(tmp_path / "x.raw")


def test_the_header_states_duration_and_channels() -> None:
    assert header(ODD / "stereo24.wav") == Header(0.1, 2)


# The audio that was meant


def wave(seconds: float = 0.5, peak: float = 0.5) -> Floats:
    """A sound of several frequencies."""
    times = np.arange(round(seconds * RATE)) / RATE
    parts = [np.sin(2 * np.pi * hertz * times) for hertz in (210, 437, 1310)]
    return np.asarray(peak * sum(parts) / 3)


def noise(seed: int, peak: float = 0.1) -> Floats:
    return np.random.default_rng(seed).standard_normal(len(wave())) * peak


def stored(path: Path, *channels: Floats, subtype: str = "PCM_16") -> Path:
    samples = np.stack(channels, axis=1)
    if subtype == "PCM_16":  # libsndfile would round down
        samples = np.rint(np.clip(samples * 32768, -32768, 32767)).astype(np.int16)
    soundfile.write(path, samples, RATE, subtype=subtype)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(AudioError) as caught:
        read(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("second", "how"),
    [
        (-wave(), "silent"),
        (-0.9 * wave(), "26 dB quieter than a single channel"),
        (-wave() + noise(1, 0.01), "dB quieter than a single channel"),
    ],
)
def test_channels_of_opposite_phase(tmp_path: Path, second: Floats, how: str) -> None:
    path = stored(tmp_path / "a b.wav", wave(), second)
    said = refusal(path)
    assert said.startswith(
        f"{path}: its channels cancel each other (opposite phase), so their average is "
    )
    assert how in said
    assert "select a channel with channel_selector in a NeMo manifest" in said
    left = tmp_path / "a b.flac"
    line = shlex.join(["ffmpeg", "-i", str(path), "-af", "pan=mono|c0=c0", str(left)])
    assert said.endswith(f": {line}")
    one = from_channel(path, 0)
    assert abs(one.array - wave() * 32768).max() <= 1
    assert from_channel(path, 1) != one


def from_channel(path: Path, *channels: int) -> Audio:
    return read(path, channels=channels)


@pytest.mark.parametrize(
    "channels",
    [
        (wave(), wave()),
        (wave(), np.zeros_like(wave())),
        (noise(1), noise(2)),
        (wave(), -0.5 * wave()),
        (noise(1), noise(2), noise(3), noise(4)),
        (np.zeros_like(wave()), np.zeros_like(wave())),
        (wave(),),
    ],
)
def test_channels_that_do_not_cancel(
    tmp_path: Path, channels: tuple[Floats, ...]
) -> None:
    path = stored(tmp_path / "x.wav", *channels)
    expected = np.mean(channels, axis=0) * 32768
    assert abs(read(path).array - expected).max() <= 1.01
    assert decode(path).doubts == ()


def test_two_of_four_channels_are_averaged(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.wav", wave(), -wave(), noise(1), noise(2))
    expected = (noise(1) + noise(2)) / 2 * 32768
    assert abs(from_channel(path, 2, 3).array - expected).max() <= 1.01
    with pytest.raises(AudioError, match=r"there is no channel 4; the file has 4"):
        from_channel(path, 4)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_in_the_scale_of_integers(tmp_path: Path, subtype: str) -> None:
    path = stored(tmp_path / "x.wav", wave() * 32768, subtype=subtype)
    peak = round(np.abs(wave()).max() * 32768)
    assert refusal(path).startswith(
        f"{path}: its float samples reach {peak:,}, but full scale is 1.0; divide"
    )


def test_floats_a_little_over_full_scale_are_doubtful(tmp_path: Path) -> None:
    loud = wave() * 1.25 / np.abs(wave()).max()
    path = stored(tmp_path / "x.wav", loud, subtype="FLOAT")
    found = decode(path)
    assert found.audio.array.max() == 32767
    assert found.doubts == (
        f"{path}: its float samples reach 1.25, but full scale is 1.0, so the loudest "
        "samples are clipped; divide all samples by 1.25 and write the file again",
    )
    fine = stored(tmp_path / "y.wav", loud / 1.25, subtype="FLOAT")
    assert decode(fine).doubts == ()


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "ULAW", "PCM_U8"])
def test_clipped_audio_is_doubtful(tmp_path: Path, subtype: str) -> None:
    path = stored(tmp_path / "x.wav", np.clip(wave() * 4, -1, 1), subtype=subtype)
    (doubt,) = decode(path).doubts
    share = np.mean(np.abs(wave() * 4) >= 1)  # most of a flat top is counted
    assert float(doubt.split(": ")[1].split("%")[0]) / 100 == pytest.approx(share, 0.3)
    assert "of its samples are clipped at full scale (the limit is 0.1%)" in doubt


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "ULAW"])
def test_loud_audio_is_not_doubtful(tmp_path: Path, subtype: str) -> None:
    loud = wave() / np.abs(wave()).max()
    path = stored(tmp_path / "x.wav", loud, subtype=subtype)
    assert decode(path).doubts == ()


# Containers and codecs


def test_wav_that_states_no_bytes_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    sound = sine(440, 0.25, 8000)
    write(path, sound)
    whole = path.read_bytes()
    at = whole.index(b"data") + 4
    for size, total in ((0, 0), (0, len(whole) - 8), (2**32 - 1, 2**32 - 1)):
        data = bytearray(whole)
        data[at : at + 4] = struct.pack("<I", size)
        data[4:8] = struct.pack("<I", total)
        path.write_bytes(data)
        assert read(path) == sound
        assert length(path) == 0.25


def test_empty_wav_with_a_chunk_behind_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    info = b"LIST" + struct.pack("<I", 4) + b"INFO"
    path.write_bytes((ODD / "empty.wav").read_bytes() + info)
    assert "has no audio (0 frames)" in refusal(path)


@pytest.mark.parametrize(
    ("subtype", "slack"),
    [("GSM610", 0.2), ("ALAW", 0.02), ("IMA_ADPCM", 0.1), ("MS_ADPCM", 0.1)],
)
def test_telephone_codecs_are_read(tmp_path: Path, subtype: str, slack: float) -> None:
    path = tmp_path / "x.wav"
    sound = sine(440, 0.5, 8000)
    soundfile.write(path, sound.array, 8000, subtype=subtype)
    found = read(path)
    assert found.seconds == pytest.approx(0.5, abs=0.1)  # a block may be filled up
    middle = slice(1000, 3000)
    difference = found.array[middle].astype(int) - sound.array[middle]
    assert abs(difference).max() <= slack * 32768
    assert read(path, start=0.25, stop=0.5) == found.cut(0.25, 0.5)


def mp3(path: Path) -> bytes:
    soundfile.write(path, wave(1.0), RATE, format="MP3")
    return path.read_bytes()


def test_mp3_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    data = mp3(path)
    assert read(path).seconds == length(path) == 1.0
    tag = b"ID3\x03\x00\x00" + bytes([0, 0, 2, 1]) + bytes(257)
    path.write_bytes(tag + data)
    assert read(path).seconds == 1.0


def test_mp3_that_does_not_state_its_length(tmp_path: Path) -> None:
    path = tmp_path / "x.mp3"
    data = mp3(path)
    path.write_bytes(data.replace(b"Xing", bytes(4)).replace(b"Info", bytes(4)))
    assert refusal(path) == (
        f"{path}: is MP3 that does not state its length, so its end could be "
        f"lost; convert it: ffmpeg -i {path} {path.with_suffix('.wav')}"
    )


def test_mp3_inside_wav(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    data = mp3(path)
    coded = (0x55, 1, RATE, 4000, 1, 0, 12, 1, 2, 576, 1, 1393)
    chunks = (
        (b"fmt ", struct.pack("<HHIIHHHHIHHH", *coded)),
        (b"fact", struct.pack("<I", RATE)),
        (b"data", data + bytes(len(data) % 2)),
    )
    body = b"".join(name + struct.pack("<I", len(it)) + it for name, it in chunks)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    assert refusal(path) == (
        f"{path}: is MP3 inside WAV and does not state its exact length; "
        f"convert it: ffmpeg -i {path} {path.with_suffix('.flac')}"
    )


def test_opus_and_vorbis(tmp_path: Path) -> None:
    for name, subtype in (("x.opus", "OPUS"), ("x.ogg", "VORBIS")):
        path = tmp_path / name
        soundfile.write(path, wave(), RATE, format="OGG", subtype=subtype)
        assert read(path).seconds == length(path) == 0.5


@pytest.mark.parametrize("suffix", sorted(UNDECODABLE))
def test_audio_that_cannot_be_decoded(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"it's{suffix}"
    path.write_bytes(b"\0\0\0\x20ftypM4A " + bytes(100))
    wav = path.with_suffix(".wav")
    line = shlex.join(["ffmpeg", "-i", str(path), str(wav)])
    assert refusal(path) == (
        f"{path}: is audio that cannot be decoded here (libsndfile does not read "
        f"{suffix}); convert it: {line}"
    )


@pytest.mark.parametrize(
    ("name", "head", "container"),
    [
        ("x.opus", b"\x1aE\xdf\xa3", "WebM or Matroska"),
        ("x.opus", b"OggS", "Ogg"),
        ("x.wav", b"\0\0\0 ftypM4A ", "MP4 or M4A"),
        ("x.mp3", b"#!AMR-WB\n", "AMR"),
        ("x", b"\x30\x26\xb2\x75", "WMA"),
        ("x.wav", b"RIFF\0\0\0\0WAVEfmt \2\0\0\0", "WAV"),
    ],
)
def test_another_container_or_codec_under_a_known_name(
    tmp_path: Path, name: str, head: bytes, container: str
) -> None:
    path = tmp_path / name
    path.write_bytes(head + bytes(range(1, 200)))
    said = refusal(path)
    assert said.startswith(
        f"{path}: is audio that cannot be decoded here ({container} that libsndfile "
    )
    suffix = ".flac" if path.suffix == ".wav" else ".wav"
    assert said.endswith(f"convert it: ffmpeg -i {path} {path.with_suffix(suffix)}")


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(b"")
    assert refusal(path) == f"{path}: is an empty file; create the file again"
