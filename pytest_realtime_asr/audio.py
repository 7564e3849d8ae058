"""Mono PCM16 audio at any sample rate, in memory and in files.

Full scale is the same everywhere: a float sample is the integer sample divided by
32768. So -1.0 is -32768; +1.0, which PCM16 cannot represent, is clipped to 32767. The
samples of a 16-bit file are therefore read and written without a change.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from pytest_realtime_asr.text.inputs import InputError, regular

_FULL_SCALE = 32768
_WIDTH = 2  # bytes of one sample
_BLOCK = 2**18  # samples processed at a time, since floats need more memory
_FRAME = 0.01  # s of audio over which energy is averaged
_RUN = 3  # consecutive loud frames that count as speech
_RANGE = 35.0  # dB below the 95th percentile of the frames; quieter is not speech
_FLOOR = -60.0  # dB of full scale; a quieter frame is not speech
_RATES = (1_000, 768_000)  # Hz: the lowest and the highest rate of a file
_LONGEST = 24 * 3600  # s; the header of a longer file is taken as wrong
_UNKNOWN_FRAMES = 2**62  # libsndfile reports 2**63 - 1 for an unknown length
_UNKNOWN_BYTES = 0x7FFF_0000  # or more in the header of a WAV written to a pipe


class AudioError(InputError):
    """An audio file that cannot be used; the message says which, why and what to do."""


@dataclass(frozen=True, slots=True)
class Audio:
    """Mono audio: signed 16-bit little-endian samples at ``rate`` Hz.

    In all methods, a position in seconds is rounded to the nearest sample. Raises
    ValueError if ``pcm`` ends in half a sample, or if ``rate`` is not positive.
    """

    pcm: bytes = field(repr=False)
    rate: int

    def __post_init__(self) -> None:
        _check_rate(self.rate)
        if len(self.pcm) % _WIDTH:
            raise ValueError(
                f"{len(self.pcm)} bytes of PCM16 end in half a sample; "
                "give an even number of bytes"
            )

    @property
    def samples(self) -> int:
        """The number of samples."""
        return len(self.pcm) // _WIDTH

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.samples / self.rate

    @property
    def array(self) -> npt.NDArray[np.int16]:
        """The samples as a read-only view of ``pcm``."""
        return np.frombuffer(self.pcm, dtype="<i2")

    @property
    def digest(self) -> str:
        """A hash of the samples and the rate, in 16 hexadecimal digits."""
        found = hashlib.sha256(b"%d\n" % self.rate)
        found.update(self.pcm)
        return found.hexdigest()[:16]

    def resample(self, rate: int) -> Audio:
        """Return the audio at ``rate`` Hz; the same object if it has this rate.

        The samples are computed as floats and clipped, so that an overshoot of the
        filter does not wrap around. The length is correct to one sample.
        """
        _check_rate(rate)
        if rate == self.rate:
            return self
        floats = self.array.astype(np.float32)
        floats /= _FULL_SCALE  # in place, since the audio may be long
        return from_float(soxr.resample(floats, self.rate, rate, quality="HQ"), rate)

    def cut(self, start: float, stop: float) -> Audio:
        """Return the part from ``start`` to ``stop``, in seconds.

        Adjacent parts have no gap and no overlap. Raises ValueError if the part is not
        inside the audio.
        """
        first, last = _span(start, stop, self.samples, self.rate)
        return Audio(self.pcm[first * _WIDTH : last * _WIDTH], self.rate)

    def chunks(self, seconds: float) -> Iterator[bytes]:
        """Return an iterator over chunks of ``seconds``; the last may be shorter.

        Raises ValueError at the call if a chunk has less than one sample.
        """
        size = _samples(seconds, self.rate) * _WIDTH
        if not size:
            raise ValueError(
                f"a chunk of {seconds} s holds no sample at {self.rate} Hz; "
                f"give at least {1 / self.rate:.2g} s"
            )
        pcm = self.pcm
        return (pcm[at : at + size] for at in range(0, len(pcm), size))


def from_float(samples: npt.NDArray[np.floating[Any]], rate: int) -> Audio:
    """Return audio from float samples; full scale is -1 to 1.

    ``samples`` is float32 or float64, of shape (samples,) or (samples, channels).
    Channels are averaged. Values over full scale are clipped; the others are rounded to
    the nearest integer. Raises ValueError for another type or shape, and for samples
    that are not finite.
    """
    if samples.dtype not in (np.float32, np.float64):
        raise ValueError(
            f"samples of type {samples.dtype}; give float32 or float64 from -1 to 1"
        )
    if samples.ndim not in (1, 2) or samples.shape[1:] == (0,):
        raise ValueError(
            f"samples of shape {samples.shape}; give one dimension or frames x channels"
        )
    starts = range(0, len(samples), _BLOCK)
    pcm = b"".join(_pcm(samples[start : start + _BLOCK]) for start in starts)
    return Audio(pcm, rate)


def _pcm(samples: npt.NDArray[np.floating[Any]]) -> bytes:
    if not np.isfinite(samples).all():
        raise ValueError("a sample is not a finite number; give samples from -1 to 1")
    if samples.ndim == 2:
        with np.errstate(over="ignore"):  # an infinite sum is clipped below
            samples = samples.mean(axis=1)
    steps = np.rint(np.clip(samples, -1, 1) * _FULL_SCALE)
    return bytes(np.minimum(steps, _FULL_SCALE - 1).astype("<i2"))


def silence(seconds: float, *, rate: int = 16000) -> Audio:
    """Return digital silence of ``seconds`` at ``rate`` Hz."""
    _check_rate(rate)
    return Audio(bytes(_samples(seconds, rate) * _WIDTH), rate)


def join(*parts: Audio) -> Audio:
    """Return the audio of the parts, one after the other.

    Raises ValueError if there is no part, or if the rates differ.
    """
    rates = sorted({part.rate for part in parts})
    if len(rates) != 1:
        found = ", ".join(f"{rate} Hz" for rate in rates) or "no part"
        raise ValueError(f"cannot join {found}; give parts, all resampled to one rate")
    return Audio(b"".join(part.pcm for part in parts), rates[0])


def speech(audio: Audio) -> tuple[float, float] | None:
    """Return the start and the end of speech in s, detected by energy.

    ``None`` if there is no speech. A frame of 10 ms is loud if its RMS is within 35 dB
    of the 95th percentile of all frames and over -60 dB of full scale. Speech lasts
    from the start of the first run of three loud frames to the end of the last such
    run. On the bundled clips with word times, the start is 17 ms late on average (80 ms
    at most), and the end is 6 ms early on average (111 ms at most).
    """
    size = max(1, round(_FRAME * audio.rate))
    count = audio.samples // size
    if count < _RUN:
        return None
    frames = audio.array[: count * size].reshape(count, size)
    step = max(1, _BLOCK // size)
    blocks = (frames[at : at + step] / _FULL_SCALE for at in range(0, count, step))
    power = np.concatenate([np.mean(block**2, axis=1) for block in blocks])
    level = 20 * np.log10(np.sqrt(power) + 1e-9)
    loud = level > max(float(np.percentile(level, 95)) - _RANGE, _FLOOR)
    runs = np.flatnonzero(np.convolve(loud, np.ones(_RUN), "valid") == _RUN)
    if not runs.size:
        return None
    first, last = int(runs[0]), int(runs[-1]) + _RUN
    return first * size / audio.rate, last * size / audio.rate


def length(path: Path) -> float:
    """Return the length of a file in seconds from its header, without decoding.

    Raises `AudioError` for every problem that the header shows.
    """
    with _opened(path) as file:
        return float(file.frames / file.samplerate)


def read(path: Path, *, start: float = 0.0, stop: float | None = None) -> Audio:
    """Return the audio of a file at the file's rate, with its channels averaged.

    The file may have any format that libsndfile reads. ``start`` and ``stop`` select a
    part, in seconds. Raises `AudioError` if the file is missing, not audio, empty,
    truncated or shorter than the part.
    """
    with _opened(path) as file:
        end = file.frames / file.samplerate if stop is None else stop
        try:
            first, last = _span(start, end, file.frames, file.samplerate)
        except ValueError as error:
            raise AudioError(f"{path}: {error}") from error
        found, rate = [], file.samplerate
        try:
            file.seek(first)
            for at in range(first, last, _BLOCK):
                samples = file.read(min(_BLOCK, last - at), dtype="float32")
                found.append(from_float(samples, rate).pcm)
        except soundfile.SoundFileError as error:
            raise _broken(path, str(error)) from error
        except ValueError as error:
            raise AudioError(f"{path}: {error}; write the file again") from error
    sound = Audio(b"".join(found), rate)
    if sound.samples != last - first:
        raise _broken(path, f"it has only {sound.samples} of {last - first} frames")
    return sound


def write(path: Path, audio: Audio) -> None:
    """Write ``audio`` as 16-bit PCM, in the format that the suffix of ``path`` names.

    Raises `AudioError` if the format does not support 16-bit PCM at this rate, if there
    is no sample to write, or if the file cannot be created.
    """
    kind = path.suffix[1:].upper()
    # libsndfile would write .raw, but the rate could not be read back.
    if kind == "RAW" or not soundfile.check_format(kind, "PCM_16"):
        raise AudioError(
            f"{path}: the suffix names no format with 16-bit PCM; use .flac or .wav"
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


class Resampler:
    """Resamples a stream of PCM16 from ``source`` Hz to ``target`` Hz.

    The output is a few milliseconds behind the input until `flush` returns the rest.
    """

    def __init__(self, source: int, target: int) -> None:
        _check_rate(source)
        _check_rate(target)
        self._stream = (
            None
            if source == target
            else soxr.ResampleStream(source, target, 1, dtype="int16")
        )

    def feed(self, pcm: bytes) -> bytes:
        """Return the output that is ready after this input."""
        return self._next(pcm, last=False)

    def flush(self) -> bytes:
        """Return the rest of the output and end the stream."""
        return self._next(b"", last=True)

    def _next(self, pcm: bytes, *, last: bool) -> bytes:
        if self._stream is None:
            return pcm
        samples = np.frombuffer(pcm, dtype="<i2")
        return bytes(self._stream.resample_chunk(samples, last=last).astype("<i2"))


def _check_rate(rate: int) -> None:
    if rate <= 0:
        raise ValueError(f"the rate is {rate} Hz; give a positive rate")


def _samples(seconds: float, rate: int) -> int:
    """Return a duration in samples, rounded to the nearest sample."""
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{seconds} s is not a duration; give 0 or more seconds")
    return round(seconds * rate)


def _span(start: float, stop: float, samples: int, rate: int) -> tuple[int, int]:
    """Return the first and the last (exclusive) sample of a part of the audio.

    Raises ValueError if the part is not inside the audio.
    """
    seconds = samples / rate
    if not 0 <= start <= stop <= seconds + 0.5 / rate:
        raise ValueError(
            f"{start:g} to {stop:g} s is not inside the {seconds:g} s of audio; give a "
            "start and a later stop inside the audio"
        )
    return _samples(start, rate), min(_samples(stop, rate), samples)


def _broken(path: Path, what: str) -> AudioError:
    return AudioError(
        f"{path}: the audio is broken or truncated ({what}); download or create the "
        "file again"
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open an audio file for reading, after a check of its header."""
    try:
        regular(path)
        file = soundfile.SoundFile(os.fsencode(path))  # the path may not be UTF-8
    except InputError as error:
        raise AudioError(str(error)) from error
    except (soundfile.SoundFileError, TypeError) as error:  # .raw is a TypeError
        reason = getattr(error, "error_string", error)
        raise AudioError(
            f"{path}: cannot be read as audio ({reason}); convert the file to WAV, "
            "FLAC or another format that libsndfile reads"
        ) from error
    with file:
        if file.frames == 0:
            raise AudioError(f"{path}: has no audio (0 frames); create the file again")
        if file.frames > _UNKNOWN_FRAMES:
            raise AudioError(
                f"{path}: does not state its length, as if it had been written to a "
                "pipe; write it again to a regular file"
            )
        if not _RATES[0] <= file.samplerate <= _RATES[1]:
            raise AudioError(
                f"{path}: states a rate of {file.samplerate} Hz, which is not from "
                f"{_RATES[0]} to {_RATES[1]} Hz; create the file again"
            )
        if file.frames > _LONGEST * file.samplerate:
            raise AudioError(
                f"{path}: states {file.frames} frames, which is more than a day; "
                "create the file again, or split it"
            )
        if missing := _missing(path):
            raise _broken(path, f"{missing} bytes of its stated length are missing")
        yield file


def _missing(path: Path) -> int:
    """Return how many bytes are missing at the end of a WAV file; 0 for other files.

    libsndfile does not report a truncated WAV file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(12)[:4] != b"RIFF":
            return 0
        head = file.read(8)
        while head[:4] not in (b"data", b""):
            count = int.from_bytes(head[4:], "little")
            file.seek(count + count % 2, 1)  # chunks are padded to even sizes
            head = file.read(8)
        count = int.from_bytes(head[4:], "little")
        there = size - file.tell()
    return max(0, count - there) if count < _UNKNOWN_BYTES else 0
