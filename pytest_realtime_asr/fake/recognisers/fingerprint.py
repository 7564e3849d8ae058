"""Recognises a known recording by its spectrum, while the recording is played.

Audio is divided into overlapping windows of 40 ms. The power spectrum of each window is
summed into 24 bands from 150 to 3400 Hz, evenly spaced in mel. Audio with a sample rate
of 8 kHz still has these frequencies. The power of speech falls by about 20 dB over this
range. Therefore higher bands are amplified more, the highest band by 20 dB.

The *shape* of a window is a vector with one number for each band: the logarithm of the
band's share of the power. Before the logarithm, 0.01 is added to each share. So all
bands that are more than 20 dB below the total get nearly the same number. Then the mean
is subtracted and the vector is scaled to length 1. A gain does not change the shares.
Weak noise and the rounding of PCM16 are more than 20 dB below the total, so they hardly
count.

The *likeness* of two windows is the cosine of their shapes. It is at least 0.98 for
copies of one sound, 0.8 for a copy that is clipped by 10 dB, and about 0.4 (median) for
different sounds of one voice.

A *look* is a window of the stream, taken every 20 ms. A *row* is a window of a known
clip, taken every 10 ms. So each look is at most 5 ms away from a row, wherever the clip
starts in the stream. A window is *loud*, *soft* or a *pause*, which depends on its
level relative to the loudest window of the last 2 s. A gain changes both levels, so a
loud window stays loud.

While a clip is played, its position advances by two rows with each look. These rows are
a *diagonal*. For each row, the search keeps the sum of the likenesses along the
diagonal that ends at this row:

    sum[row] = keep[row] * sum[row - 2] + likeness(row, look)

If the row is loud, ``keep`` is 0.9, so that older likenesses count less. A soft row
does not change the sum: ``keep`` is 1 and the likeness is 0. If the clip pauses while
the stream is loud, ``keep`` is 0.9 and the likeness is 0, so that the sum falls. The
score of a row is its sum, divided by the sum that a perfect copy would have.

A row can propose its clip after 12 loud rows of its diagonal. Fewer loud rows are
enough if the clip then pauses, as after a short word. The search only proposes clips;
the recogniser (see `scripted`) decides. For each look, it compares the last 100 ms of
the stream with the diagonals that have the highest or nearly the highest scores. This
comparison distinguishes sentences that differ in a single sound. It also compares the
levels: the gain between clip and stream must stay the same, to within 12 dB.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

RATE = 16000
WINDOW = 640  # samples of a look or a row
HOP = 320  # samples from one look to the next
STEP = 160  # samples from one row of a clip to the next
STRIDE = HOP // STEP  # rows by which a clip advances with each look
SILENT = -90.0  # dBFS between 150 and 3400 Hz; a step of PCM16 is 10 dB below

Floats = npt.NDArray[np.float32]

_BANDS = 24
_LOWEST, _HIGHEST = 150.0, 3400.0
_TILT = 20.0  # dB
_DEPTH = 0.01  # share of the power; bands below this share count as equal

_LOUD = -25.0  # dB, relative to the loudest look of the last 2 s
_LOUD_IN_CLIP = -35.0  # dB, relative to the loudest row of the clip
_PAUSE = -40.0  # dB, relative to the loudest look of the last 2 s
LOOKS = 2 * RATE // HOP  # the number of looks in 2 s

_KEEP = 0.9  # the share of the sum that is kept at each loud row
_MARGIN = 20  # rows of silence after a clip
ENOUGH = 12  # loud rows of a diagonal after which a row can propose its clip
_SOME = 5  # loud rows that a sum must include to have a meaning
_LIKE = 0.75  # the lowest score of a proposal
_SHORT = ((6, 12), (3, 16))  # (loud rows, then rows of pause) of a short word
_SUSPECT = 0.9  # the score above which a clip may be playing
_SAME_GAIN = 12.0  # dB by which the gain of a look may differ
_NEAR_TOP = 0.2  # how far below the highest score a proposal may lie
_NEAR = 3  # rows at most this far apart count as the same alignment
_MOST = 8  # the most alignments proposed at a time
_LIKE_OF_PART = 0.4  # as _LIKE, for sound that has ended early
_MOST_OF_PART = 24  # as _MOST, for sound that has ended early


def _mel_bands() -> Floats:
    """Return the triangular weights of the bands, as an array of bands x bins."""
    lowest, highest = 2595 * np.log10(1 + np.array([_LOWEST, _HIGHEST]) / 700)
    edges = 700 * (10 ** (np.linspace(lowest, highest, _BANDS + 2) / 2595) - 1)
    low, mid, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    hertz = np.arange(WINDOW // 2 + 1) * RATE / WINDOW
    weights = np.minimum((hertz - low) / (mid - low), (high - hertz) / (high - mid))
    return np.maximum(weights, 0).astype(np.float32)


_HANN = np.hanning(WINDOW).astype(np.float32) / 32768
_WEIGHTS = _mel_bands()
_GAINS = (10 ** (np.linspace(0, _TILT, _BANDS) / 10)).astype(np.float32)
# With this scale a sine at full scale has -3 dBFS, the mean of its square.
_SCALE = 2 / (WINDOW * float(np.square(np.hanning(WINDOW)).sum()))


def look(windows: npt.NDArray[np.int16]) -> tuple[Floats, Floats]:
    """Return the shapes and the levels in dBFS of windows of samples.

    The shapes are an array of windows x bands. The shape of a silent window is zero, so
    its likeness to every window is 0.
    """
    spectrum = np.fft.rfft(windows * _HANN, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    # Unlike BLAS, einsum gives a window the same value whatever windows are beside it.
    powers = np.einsum("wf,bf->wb", power, _WEIGHTS)
    levels = 10 * np.log10(powers.sum(axis=1) * _SCALE + 1e-12)
    powers = powers * _GAINS + 1e-20
    shares = np.log(powers / powers.sum(axis=1, keepdims=True) + _DEPTH)
    shares -= shares.mean(axis=1, keepdims=True)
    lengths = np.sqrt(np.square(shares).sum(axis=1, keepdims=True))
    shapes = shares / np.maximum(lengths, 1e-6) * (levels > SILENT)[:, None]
    return shapes.astype(np.float32), levels.astype(np.float32)


class Looks:
    """The looks of the last 2 s of a stream; looks before its start are silent."""

    def __init__(self) -> None:
        self.shapes: Floats = np.zeros((LOOKS, _BANDS), np.float32)
        self.levels: Floats = np.full(LOOKS, -np.inf, np.float32)
        self.loud = np.zeros(LOOKS, np.bool_)

    def add(self, shape: Floats, level: float) -> None:
        """Add the next look and remove the oldest look."""
        for array in (self.shapes, self.levels, self.loud):
            array[:-1] = array[1:]
        self.shapes[-1], self.levels[-1] = shape, level
        self.loud[-1] = level > max(SILENT, float(self.levels.max()) + _LOUD)

    def last(self, number: int) -> Looks:
        """Return the latest ``number`` looks."""
        looks = Looks.__new__(Looks)
        looks.shapes = self.shapes[-number:]
        looks.levels = self.levels[-number:]
        looks.loud = self.loud[-number:]
        return looks


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one clip in an index; the module explains *row* and *loud*.

    The clip has the rows from ``start`` to ``stop`` (exclusive). ``zero`` is the row
    whose window starts at the first sample of the clip. ``first`` and ``last`` are the
    first and the last loud row.
    """

    start: int
    zero: int
    first: int
    last: int
    stop: int


class Index:
    """The rows of several clips, one clip after another.

    ``clips`` are arrays of samples at 16 kHz. ``rows`` has the place of the rows of
    each clip, and ``None`` for a clip without any sound.
    """

    def __init__(self, clips: Sequence[npt.NDArray[np.int16]]) -> None:
        parts: list[_Part] = []
        rows: list[Rows | None] = []
        start = 0
        for samples in clips:
            part = _part(samples)
            loud = np.flatnonzero(part.loud)
            if not loud.size:
                rows.append(None)
                continue
            first, last = start + int(loud[0]), start + int(loud[-1])
            stop = start + len(part.loud)
            rows.append(Rows(start, start + WINDOW // STEP, first, last, stop))
            parts.append(part)
            start = stop
        self.rows = tuple(rows)
        self.size = start
        self.shapes = _joined([part.shapes for part in parts], (0, _BANDS), np.float32)
        self.levels = _joined([part.levels for part in parts], (0,), np.float32)
        self.loud = _joined([part.loud for part in parts], (0,), np.bool_)
        self.pause = _joined([part.pause for part in parts], (0,), np.bool_)
        perfect = _joined([part.perfect for part in parts], (0,), np.float32)
        enough = _joined([part.enough for part in parts], (0,), np.bool_)
        short = _joined([part.short for part in parts], (0,), np.bool_)
        some = _joined([part.some for part in parts], (0,), np.bool_)
        begin = _joined([part.begin for part in parts], (0,), np.bool_)
        # Bands x rows, because einsum adds whole rows of this array without BLAS, whose
        # threads would compete with the other processes for the cores.
        self.columns = np.ascontiguousarray(self.shapes.T)
        self.enough = enough
        self.short = short
        # Zero for rows that come too early in their clip to have a meaningful sum.
        compared = np.where(some, perfect, np.float32(np.inf))
        self.per_perfect = (1 / compared).astype(np.float32)
        keep = np.where(self.loud, np.float32(_KEEP), np.float32(1))
        keep[begin] = 0
        self.keep = keep
        self.keep_when_loud = np.where(self.pause, keep * np.float32(_KEEP), keep)

    def gain(
        self, rows: npt.NDArray[np.intp], looks: Looks, kept: npt.NDArray[np.bool_]
    ) -> float:
        """Return the median of the gains in dB from the rows to the latest looks.

        A look counts only if its element of ``kept`` is true and its row is loud.
        """
        loud = np.flatnonzero(self.loud[rows] & kept)[-ENOUGH:]
        gains = np.sort(looks.levels[loud] - self.levels[rows[loud]])
        return float(gains[len(gains) // 2]) if gains.size else 0.0

    def likeness(
        self, rows: npt.NDArray[np.intp], looks: Looks, gains: Floats
    ) -> Floats:
        """Return the likeness of each look to its row, or NaN for a soft row.

        ``rows`` is an array of alignments x looks, and ``gains`` has the expected gain
        in dB of each alignment. The likeness is 0 if the gain from row to look
        differs from the expected gain by more than 12 dB, or if the clip pauses while
        the look is loud.
        """
        like: Floats = np.einsum("anb,nb->an", self.shapes[rows], looks.shapes)
        with np.errstate(invalid="ignore"):  # the level of silence may be -inf
            off = looks.levels - self.levels[rows] - gains[:, None]
        like[np.abs(off) > _SAME_GAIN] = 0
        like[~self.loud[rows]] = np.nan
        like[self.pause[rows] & looks.loud] = 0
        return like


class Search:
    """Finds which clips of an index a stream may be playing, and at which rows."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._sums = np.zeros(index.size, np.float32)
        self._moved = np.zeros(index.size, np.float32)

    def reset(self) -> None:
        """Forget all looks so far."""
        self._sums[:] = 0

    def hear(self, shape: Floats, loud: bool) -> None:
        """Add the next look of the stream."""
        index = self._index
        moved, sums = self._moved, self._sums
        keep = index.keep_when_loud if loud else index.keep
        np.einsum("bn,b->n", index.columns, shape, out=moved)
        moved[STRIDE:] += sums[:-STRIDE] * keep[STRIDE:]
        self._sums, self._moved = moved, sums

    @property
    def suspects(self) -> bool:
        """Return whether a clip may be playing, even if it is unclear which clip."""
        return bool((self._sums * self._index.per_perfect > _SUSPECT).any())

    def proposals(self) -> list[int]:
        """Return the rows that the stream may have reached, the likeliest row first.

        The list is empty if no row can propose its clip yet.
        """
        scores = self._sums * self._index.per_perfect
        if not scores.size or (top := scores.max()) < _LIKE:
            return []
        rows = np.flatnonzero(scores >= max(_LIKE, top - _NEAR_TOP))
        proposes = self._index.enough[rows] | self._index.short[rows]
        return _best(rows, scores[rows], _MOST) if proposes.any() else []

    def remains(self) -> list[int]:
        """Return the likely rows of a sound that ended before a clip was proposed.

        Rows with low scores are included, since scores stay low if the start of a clip
        was not heard.
        """
        scores = self._sums * self._index.per_perfect
        rows = np.flatnonzero(scores >= _LIKE_OF_PART)
        return _best(rows, scores[rows], _MOST_OF_PART)


def _best(rows: npt.NDArray[np.intp], scores: Floats, most: int) -> list[int]:
    """Return at most ``most`` rows with the highest scores, the best row first.

    Of rows that are close together, only the best is returned.
    """
    found: list[int] = []
    for row in rows[np.argsort(-scores, kind="stable")].tolist():
        if all(abs(row - other) > _NEAR for other in found):
            found.append(row)
            if len(found) == most:
                break
    return found


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one clip; each array has one element for each row.

    ``enough`` marks the rows that can propose the clip. ``short`` marks the rows after
    a short word. ``some`` marks the rows with enough loud rows before them for a
    meaningful score. ``begin`` marks the rows at which a diagonal starts.
    ``perfect`` is the sum that a perfect copy of the clip has at the row.
    """

    shapes: Floats
    levels: Floats
    loud: npt.NDArray[np.bool_]
    pause: npt.NDArray[np.bool_]
    perfect: Floats
    enough: npt.NDArray[np.bool_]
    short: npt.NDArray[np.bool_]
    some: npt.NDArray[np.bool_]
    begin: npt.NDArray[np.bool_]


def _part(samples: npt.NDArray[np.int16]) -> _Part:
    after = np.zeros(WINDOW + _MARGIN * STEP, np.int16)
    padded = np.concatenate([np.zeros(WINDOW, np.int16), samples, after])
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::STEP]
    shapes, levels = look(windows)
    memory = np.full(LOOKS * STRIDE - 1, -np.inf, np.float32)
    recent = np.lib.stride_tricks.sliding_window_view(
        np.concatenate([memory, levels]), len(memory) + 1
    ).max(axis=1)
    above = levels - recent
    loud = (above > _LOUD) & (levels > levels.max() + _LOUD_IN_CLIP) & (levels > SILENT)
    pause = (above < _PAUSE) | (levels <= SILENT)
    # A look may lie 5 ms off its row, so rows at the edge of loud sound do not count.
    loud, pause = _inner(loud, 1), _inner(pause, 2)
    shapes[~loud] = 0
    # A diagonal has every STRIDE-th row; the rows between belong to others.
    perfect = np.zeros(len(loud), np.float32)
    before = np.zeros(len(loud), np.intp)
    quiet = np.zeros(len(loud), np.intp)
    for row in range(len(loud)):
        one_step, one_look = row - 1, row - STRIDE
        was, count = (perfect[one_look], before[one_look]) if one_look >= 0 else (0, 0)
        perfect[row] = was * _KEEP + 1 if loud[row] else was
        before[row] = count + loud[row]
        quiet[row] = 0 if loud[row] or one_step < 0 else quiet[one_step] + 1
    short = np.zeros(len(loud), np.bool_)
    for rows, gap in _SHORT:
        short |= (before >= rows) & (quiet >= gap)
    begin = np.zeros(len(loud), np.bool_)
    begin[:STRIDE] = True
    return _Part(
        shapes=shapes,
        levels=levels,
        loud=loud,
        pause=pause,
        perfect=perfect,
        enough=before >= ENOUGH,
        short=short,
        some=(before >= _SOME) | short,
        begin=begin,
    )


def _inner(mask: npt.NDArray[np.bool_], rows: int) -> npt.NDArray[np.bool_]:
    """Return the mask with each run of true values shorter by ``rows`` at both ends."""
    for _ in range(rows):
        mask = mask & np.append(mask[1:], mask[-1]) & np.append(mask[0], mask[:-1])
    return mask


def _joined(
    parts: list[npt.NDArray[Any]], empty: tuple[int, ...], kind: type[np.generic]
) -> npt.NDArray[Any]:
    return np.concatenate(parts) if parts else np.zeros(empty, kind)
