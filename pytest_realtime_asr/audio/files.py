"""Reads and writes audio files; refuses audio that could not be sent as intended.

The samples of a 16-bit file are read and written without a change. Three kinds of audio
are refused: channels that cancel each other, float samples whose full scale is not 1.0,
and files that libsndfile would read only in part. Distorted audio is returned together
with the reasons to doubt its quality.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import soundfile

from pytest_realtime_asr.audio import headers
from pytest_realtime_asr.audio.levels import Levels
from pytest_realtime_asr.audio.pcm import Audio, clipped, from_float, span
from pytest_realtime_asr.text.inputs import InputError, regular

_BLOCK = 2**18  # samples processed at a time, since floats need more memory
_RATES = (1_000, 768_000)  # Hz: the lowest and the highest rate of a file
_LONGEST = 24 * 3600  # s; the header of a longer file is taken as wrong
_UNKNOWN_FRAMES = 2**62  # libsndfile reports 2**63 - 1 for an unknown length
_FLOATS = ("FLOAT", "DOUBLE")  # subtypes whose samples may exceed full scale
_OTHER_SCALE = 4.0  # full scale is 1; a larger sample is in the scale of integers
_CLIPPED = 0.001  # share of clipped samples that is worth a remark

_DECODABLE = (
    ".aif .aifc .aiff .au .caf .flac .mp3 .oga .ogg .opus .rf64 .snd .sph .w64 .wav"
)
DECODABLE = frozenset(_DECODABLE.split())
"""The suffixes of audio files that libsndfile decodes."""

_UNDECODABLE = (
    ".3gp .aac .ac3 .amr .ape .m4a .m4b .mka .mkv "
    ".mov .mp4 .ra .spx .tta .weba .webm .wma .wv"
)
UNDECODABLE = frozenset(_UNDECODABLE.split())
"""The suffixes of audio files that libsndfile does not decode."""


class AudioError(InputError):
    """The error for an audio file that cannot be used.

    The message names the file, and says what is wrong and what to do.
    """


@dataclass(frozen=True, slots=True)
class Header:
    """The length in seconds and the number of channels that a file states."""

    seconds: float
    channels: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """The audio of a file, and one line for each reason to doubt its quality."""

    audio: Audio
    doubts: tuple[str, ...] = ()


def header(path: Path) -> Header:
    """Return what a file states in its header, without decoding it.

    Raises `AudioError` for every problem that the header shows.
    """
    with _opened(path) as file:
        return Header(float(file.frames / file.samplerate), file.channels)


def length(path: Path) -> float:
    """Return the length in seconds that a file's header states, without decoding.

    Raises `AudioError` for every problem that the header shows.
    """
    return header(path).seconds


def read(
    path: Path,
    *,
    start: float = 0.0,
    stop: float | None = None,
    channels: tuple[int, ...] = (),
) -> Audio:
    """Return the audio of a file, without a judgement of its quality.

    The arguments and the errors are the same as for `decode`.
    """
    return decode(path, start=start, stop=stop, channels=channels).audio


def decode(
    path: Path,
    *,
    start: float = 0.0,
    stop: float | None = None,
    channels: tuple[int, ...] = (),
) -> Decoded:
    """Return the audio of a file at its own rate, as the average of its ``channels``.

    The file may have any format that libsndfile reads. ``start`` and ``stop`` select a
    part, in seconds. ``channels`` are numbered from 0; an empty tuple selects all
    channels.

    Raises `AudioError` if the file is missing, empty, truncated or not audio, or if the
    selected part or a selected channel is not in the file. Also raises `AudioError` if
    the channels cancel each other, or if the full scale of float samples is not 1.0.
    """
    levels, found = Levels(), []
    with _opened(path) as file:
        rate = file.samplerate
        end = file.frames / rate if stop is None else stop
        try:
            first, last = span(start, end, file.frames, rate)
            check_channels(channels, file.channels)
            for samples in _blocks(file, first, last):
                if channels and samples.ndim == 2:
                    samples = samples[:, list(channels)]
                levels.add(samples)
                found.append(from_float(samples, rate).pcm)
        except soundfile.SoundFileError as error:
            raise _broken(path, str(error)) from error
        except InputError as error:
            raise AudioError(f"{path}: {error}") from error
        except ValueError as error:
            raise AudioError(f"{path}: {error}; write the file again") from error
        floats = file.subtype in _FLOATS
    audio = Audio(b"".join(found), rate)
    if audio.samples != last - first:
        raise _broken(path, f"it has only {audio.samples} of {last - first} frames")
    _check(path, levels, floats=floats)
    return Decoded(audio, _doubts(path, audio, levels.peak if floats else 0.0))


def check_channels(wanted: tuple[int, ...], there: int) -> None:
    """Check that a file with ``there`` channels has all ``wanted`` channels.

    Raises `InputError` if one is missing.
    """
    if wrong := [channel for channel in wanted if not 0 <= channel < there]:
        raise InputError(
            f"there is no channel {wrong[0]}; the file has {there}, and the "
            "first is channel 0"
        )


def _blocks(file: Any, first: int, last: int) -> Iterator[Any]:
    """Yield the samples of a part of a file in blocks of floats."""
    if first and file.seekable():
        file.seek(first)
    elif first:  # such as GSM 06.10
        for at in range(0, first, _BLOCK):
            file.read(min(_BLOCK, first - at), dtype="float32")
    for at in range(first, last, _BLOCK):
        yield file.read(min(_BLOCK, last - at), dtype="float32")


def _check(path: Path, levels: Levels, *, floats: bool) -> None:
    """Raise `AudioError` for audio that averaging or clipping would destroy.

    The channels are averaged, and float samples above full scale are clipped.
    """
    if floats and levels.peak > _OTHER_SCALE:
        raise AudioError(
            f"{path}: its float samples reach {levels.peak:,.0f}, but full scale is "
            "1.0; divide the samples by the full scale of their source (32768 for "
            "16-bit integers) and write the file again"
        )
    if (loss := levels.loss) is not None:
        raise AudioError(
            f"{path}: its channels cancel each other (opposite phase), so their "
            f"average is {_loss(loss)}; select a channel with "
            "channel_selector in a NeMo manifest, or write one channel to a new file: "
            f"{conversion(path, '-af', 'pan=mono|c0=c0')}"
        )


def _loss(loss: float) -> str:
    return (
        f"{loss:.0f} dB quieter than a single channel" if isfinite(loss) else "silent"
    )


def _doubts(path: Path, audio: Audio, peak: float) -> tuple[str, ...]:
    """Return the reasons to doubt the quality of audio.

    ``peak`` is the largest magnitude of the float samples; 0 for integer samples.
    """
    if peak > 1.0:
        return (
            f"{path}: its float samples reach {peak:.3g}, but full scale is 1.0, so "
            f"the loudest samples are clipped; divide all samples by {peak:.3g} and "
            "write the file again",
        )
    if (share := clipped(audio)) > _CLIPPED:
        return (
            f"{path}: {share:.1%} of its samples are clipped at full scale (the limit "
            f"is {_CLIPPED:.1%}), which adds recognition errors; record it again at "
            "a lower level",
        )
    return ()


def write(path: Path, audio: Audio) -> None:
    """Write ``audio`` as 16-bit PCM, in the format that the suffix of ``path`` names.

    Raises `AudioError` if the format does not support 16-bit PCM at this rate, if there
    is no sample to write, or if the file cannot be created.
    """
    kind = path.suffix[1:].upper()
    # libsndfile would write .raw, but the rate could not be read back.
    if kind == "RAW" or not soundfile.check_format(kind, "PCM_16"):
        raise AudioError(
            f"{path}: no file format with this suffix has 16-bit PCM; use .flac or .wav"
        )
    if not audio.samples:
        raise AudioError(f"{path}: there is no sample to write; give audio")
    try:
        soundfile.write(path, audio.array, audio.rate, subtype="PCM_16")
    except soundfile.SoundFileError as error:
        reason = getattr(error, "error_string", error)
        raise AudioError(
            f"{path}: cannot be written at {audio.rate} Hz ({reason}); "
            "check that the folder exists and that the format supports this rate"
        ) from error


def conversion(path: Path, *options: str) -> str:
    """Return the ffmpeg command that converts a file to a readable format."""
    suffix = ".flac" if path.suffix.lower() == ".wav" else ".wav"
    return shlex.join(
        ["ffmpeg", "-i", str(path), *options, str(path.with_suffix(suffix))]
    )


def undecodable(path: Path) -> AudioError:
    """Return the error for a file whose suffix is in `UNDECODABLE`."""
    return AudioError(
        f"{path}: is audio that cannot be decoded here (libsndfile does not read "
        f"{path.suffix}); convert it: {conversion(path)}"
    )


def _broken(path: Path, what: str) -> AudioError:
    return AudioError(
        f"{path}: the audio is broken or truncated ({what}); download or create the "
        "file again"
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an audio file for reading, after a check of its header."""
    try:
        size = regular(path).st_size
        # The path may not be UTF-8.
        file = soundfile.SoundFile(headers.piped(path) or os.fsencode(path))
    except InputError as error:
        raise AudioError(str(error)) from error
    except OSError as error:
        raise AudioError(f"{path}: {error.strerror}; make it readable") from error
    except (soundfile.SoundFileError, TypeError) as error:  # .raw is a TypeError
        raise _unreadable(path, size, error) from error
    with file:
        if file.frames == 0:
            raise AudioError(f"{path}: has no audio (0 frames); create the file again")
        if file.frames > _UNKNOWN_FRAMES:
            raise AudioError(
                f"{path}: does not state its length, as if it had been written to a "
                f"pipe; write it to a regular file: {conversion(path)}"
            )
        if not _RATES[0] <= file.samplerate <= _RATES[1]:
            raise AudioError(
                f"{path}: states a rate of {file.samplerate} Hz, which is not between "
                f"{_RATES[0]} and {_RATES[1]} Hz; create the file again"
            )
        if file.frames > _LONGEST * file.samplerate:
            raise AudioError(
                f"{path}: states {file.frames} frames, which is more than a day; "
                "create the file again, or split it"
            )
        _check_mp3(path, file)
        if gone := headers.missing(path):
            raise _broken(path, f"{gone} bytes of its stated length are missing")
        yield file


def _unreadable(path: Path, size: int, error: Exception) -> AudioError:
    """Return the error for a file that libsndfile does not open."""
    if not size:
        return AudioError(f"{path}: is an empty file; create the file again")
    if path.suffix.lower() in UNDECODABLE:
        return undecodable(path)
    reason = getattr(error, "error_string", error)
    if found := headers.container(path):
        return AudioError(
            f"{path}: is audio that cannot be decoded here ({found} that libsndfile "
            f"does not read: {reason}); convert it: {conversion(path)}"
        )
    return AudioError(
        f"{path}: cannot be read as audio ({reason}); if it is audio, convert it: "
        f"{conversion(path)}"
    )


def _check_mp3(path: Path, file: Any) -> None:
    """Refuse MP3 that libsndfile may read only in part. Raises `AudioError`."""
    if file.subtype != "MPEG_LAYER_III":
        return
    if file.format != "MP3":
        what = f"is MP3 inside {file.format} and does not state its exact length"
    elif not headers.mp3_states_length(path):
        what = "is MP3 that does not state its length, so its end could be lost"
    else:
        return
    raise AudioError(f"{path}: {what}; convert it: {conversion(path)}")
