"""The metric `lag_drift`, which measures how fast a text falls behind the speech."""

from __future__ import annotations

import numpy as np

from pytest_realtime_asr.metrics.declaration import Group, Unit, metric
from pytest_realtime_asr.metrics.emission import Emissions
from pytest_realtime_asr.slope import theil_sen

MOST_POINTS = 200  # words of an utterance, evenly chosen; all pairs of them are used
LEAST_AUDIO = 8.0  # s; in less audio, a lag has no time to grow beyond its scatter
LEAST_POINTS = 5  # few, since a server that falls behind shows few words early enough
LEAST_SPAN = 2.0  # s of audio between the first and the last of these words
_NS_PER_S = 1_000_000_000


@metric(
    group=Group.WORDS,
    unit=Unit.RATIO,
    needs="at least 8 s of audio, word times, and at least five matched words that "
    "were shown before the end of the audio and extend over at least 2 s of it",
    beside="word_coverage",
)
def lag_drift(item: Emissions) -> float | None:
    """Measure how much the lag of the words grows per second of audio.

    A server that keeps up has a drift near 0, whatever its lag. A server that needs 1.2
    s for each second of audio has a drift of 0.2. Words that were first shown after the
    last audio frame are left out, since a server may send all remaining words at once
    after the commit. The drift measures the server only if the audio was sent in real
    time.

    Formula: the lag of a word is (time when it was first shown) - due(end of word). The
        drift is the median of the slopes (lag(j) - lag(i)) / (end(j) - end(i)) over all
        pairs of matched words whose ends differ. If there are more than 200 words, 200
        evenly spaced words are used
    Unit: ratio
    Better: lower
    Source: the estimator of Theil (1950) and Sen (1968), which changes little if up to
        29 % of the points are outliers; progressive lag as in CrispASR#383 and
        QwenLM/Qwen3-ASR#148
    """
    heard = item.timeline.heard
    if not heard or heard[-1].samples < LEAST_AUDIO * item.timeline.rate:
        return None
    points = _points(item)
    if len(points) > MOST_POINTS:
        kept = np.linspace(0, len(points) - 1, MOST_POINTS).round().astype(int)
        points = [points[place] for place in kept]
    if len(points) < LEAST_POINTS:
        return None
    ends = [end for end, _ in points]
    if max(ends) - min(ends) < LEAST_SPAN:
        return None
    return theil_sen(ends, [lag for _, lag in points])


def _points(item: Emissions) -> list[tuple[float, float]]:
    """Return the end and the lag of each matched word, both in s.

    Words that were first shown after the last audio frame was due are left out.
    """
    heard = item.timeline.heard
    points = []
    for word in item.words:
        end = None if word.said is None else item.ends[word.said]
        due = None if end is None else item.timeline.due(end)
        if end is not None and due is not None and word.first <= heard[-1].due:
            points.append((end, (word.first - due) / _NS_PER_S))
    return points
