"""Metrics of a level of load: how a server answers many streams at a time.

Each value describes one level. A session that was lost, or whose final is premature,
counts as infinitely late unless the metric says otherwise. An interval says how far the
value may differ in another run of the same level. All intervals are at a confidence of
95 %. A metric without an interval says why.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import pairwise
from statistics import fmean, median

import numpy as np

from pytest_realtime_asr.metrics.declaration import Better, Unit, level_metric
from pytest_realtime_asr.metrics.level_values import (
    Answer,
    Estimate,
    LevelValues,
    LoadedSession,
)
from pytest_realtime_asr.slope import theil_sen, theil_sen_interval
from pytest_realtime_asr.stats import (
    bootstrap,
    matched_pairs,
    quantile,
    quantile_interval,
    share_interval,
)

RECOVERED = 1.1  # finals up to this multiple of those without load are recovered
NOISE = 10.0  # ms; finals of a server without load differ by so much
LEAST_POINTS = 10  # sessions with a final, for a drift
LEAST_STREAMS = 10  # a bootstrap over fewer streams has no bounds
LEAST_WINDOWS = 5  # windows of the steady part, for the interval of a drift
_MOST_POINTS = 1000  # sessions, evenly chosen; all pairs of them are used
_MOST_WINDOWS = 30
_TAIL = 0.95
_MINUTE = 60.0  # s


@level_metric(
    unit=Unit.RATIO,
    needs="a clip with a final after its commit, both when sent alone and in the "
    "steady part",
)
def load_inflation(values: LevelValues) -> Estimate | None:
    """Measure the factor by which the load increases the latency of the finals.

    A value of 1 says that the load changes nothing. Each clip is compared with itself,
    so that the mix of clips has no influence. The interval is the exact interval of a
    median over clips.

    Formula: median over the clips of (median final_from_commit of the clip under load /
        median final_from_commit of the clip alone)
    Unit: ratio
    Better: lower
    Source: a comparison of pairs, such as one call to an idle server and the same call
        beside 200 other calls
    """
    alone, loaded = _by_clip(values.alone), _by_clip(_answers(values.sessions))
    ratios = [
        median(loaded[clip]) / before
        for clip, finals in alone.items()
        if clip in loaded and 0 < (before := median(finals)) < math.inf
    ]
    if not ratios:
        return None
    return Estimate(
        median(ratios), len(ratios), "clip", _bounded(quantile_interval(ratios, 0.5))
    )


@level_metric(
    unit=Unit.RATIO,
    better=Better.HIGHER,
    needs="a session in the steady part",
)
def keepup_ratio(values: LevelValues) -> Estimate | None:
    """Measure the ratio of the length of the audio to the time until its final.

    Sending audio in real time takes as long as the audio lasts, so the value is at most
    1. It is near 1 if the finals come soon after the audio, 0.5 if a stream waits for
    its final as long as it has spoken, and lower if sessions are lost, since their
    audio never gets a final. The interval is a bootstrap that resamples streams, or
    sessions if there are fewer than 10 streams.

    Formula: over the sessions of the steady part, sum of the seconds of audio that got
        a final / sum of the times from the start of the audio to the final, or to the
        end of the session if it was lost
    Unit: ratio
    Better: higher
    Source: FunASR's audio / wall time, but with the times of all streams added, so that
        1 is real time at every number of streams
    """
    heard = [0.0 if _lost(each) else each.seconds for each in values.sessions]
    took = [each.took for each in values.sessions]
    if not took or min(took) <= 0:
        return None
    low, high = bootstrap(heard, took, blocks=_streams(values.sessions))
    return Estimate(
        math.fsum(heard) / math.fsum(took),
        len(took),
        interval=_bounded((low, min(1.0, high))),
    )


@level_metric(
    unit=Unit.MS_PER_MINUTE,
    needs="at least 10 sessions with a final in the steady part, "
    "not all at the same time",
    counts_lost=False,
)
def latency_drift(values: LevelValues) -> Estimate | None:
    """Measure how much later the finals become per minute of a steady load.

    A server that keeps up with the load has a drift near 0, whatever its latency. If
    the load is more than the server can take, the server's queue grows, and the drift
    is above 0. Lost sessions have no final, so they are left out. `lag_drift` is
    another metric: it is about the words of one utterance. Neighbouring sessions share
    the state of the server, so the interval is computed from windows, not from
    sessions. A window covers all streams and is at least as long as the longest clip.

    Formula: median of the slopes (final(j) - final(i)) / (time(j) - time(i)) over all
        pairs of sessions; time(i) is the time at which the commit of session i was
        planned. If there are more than 1000 sessions, 1000 evenly spaced sessions are
        used. The interval is Sen's interval of a slope, computed from the median
        latencies of at least 5 windows
    Unit: ms_per_minute
    Better: lower
    Source: the estimator of Theil (1950) and Sen (1968); a queue that grows, as in
        FunASR#3038: 48 streams ended within 120 s, but only 4 kept up with the speech
    """
    kept = [each for each in values.sessions if not _lost(each)]
    kept.sort(key=lambda each: each.answer.at)
    points = [(each.answer.at / _MINUTE, each.answer.final) for each in kept]
    if len(points) < LEAST_POINTS:
        return None
    if len(points) > _MOST_POINTS:
        places = np.linspace(0, len(points) - 1, _MOST_POINTS).round().astype(int)
        points = [points[place] for place in places]
    slope = theil_sen(*zip(*points, strict=True))
    if slope is None:
        return None
    return Estimate(slope, len(kept), interval=_drift_interval(kept, slope))


@level_metric(
    unit=Unit.RATIO,
    better=Better.HIGHER,
    needs="a latency budget of the test, and a session in the steady part",
)
def goodput(values: LevelValues) -> Estimate | None:
    """Measure the share of sessions that are within every latency budget of the test.

    A lost session is within no budget. If a test has several limits of one latency,
    such as of its median and its p95, only the largest is used, since the others are
    not meant for every session. The interval is the exact interval of a share. Sessions
    of one stream may be alike, so with 10 streams or more, the interval is computed for
    a smaller number of sessions: the number of independent sessions that would give the
    same precision (Korn and Graubard, 1998).

    Formula: sessions of the steady part that have a final and are within the limits /
        all sessions of the steady part
    Unit: ratio
    Better: higher
    Source: goodput of DistServe (arXiv 2401.09670) and guidellm, for sessions in place
        of requests
    """
    judged = [each for each in values.sessions if each.within is not None]
    if not judged:
        return None
    within = [bool(each.within) for each in judged]
    interval = _interval_of_share(within, _streams(judged))
    return Estimate(fmean(within), len(judged), interval=interval)


@level_metric(
    unit=Unit.RATIO,
    needs="sessions of at least two streams in the steady part",
)
def fairness(values: LevelValues) -> Estimate | None:
    """Measure the ratio of the slowest stream's latency to the usual latency.

    The latency of a stream is the median over its finals. The usual latency is the
    median over all streams. A value near 1 says that all streams are served alike. The
    value has no interval, since it is a maximum. With few sessions for each stream, the
    slowest of many streams is slower than the others by chance alone.

    Formula: largest median final_from_commit of a stream / median over the streams of
        the median final_from_commit
    Unit: ratio
    Better: lower
    Source: tests of fair queueing look for a starved client; a mean or a quantile over
        all sessions hides one late stream of twenty
    """
    by_stream: dict[int, list[float]] = defaultdict(list)
    for each in values.sessions:
        by_stream[each.stream].append(each.answer.final)
    medians = [median(finals) for finals in by_stream.values()]
    usual = median(medians) if len(medians) > 1 else math.nan
    if not usual > 0:
        return None
    # Where most streams have no finals, there is no usual stream to compare with.
    value = math.inf if math.isinf(usual) else max(medians) / usual
    return Estimate(value, len(medians), "stream")


@level_metric(
    unit=Unit.MS,
    needs="a witness stream that ran before the load, and after it until its finals "
    "had recovered",
)
def recovery(values: LevelValues) -> Estimate | None:
    """Measure for how long the finals stay late after the end of the load.

    The finals of the witness stream are judged. A final has recovered if its latency
    exceeds the largest latency of the same clip before the load by at most 10 % or 10
    ms, whichever is more. The instant of recovery is not known exactly: it may
    lie anywhere between two successive sessions of the witness, so the value has an
    interval.

    Formula: end - planned end of the last audio of the load. Let A and B be the first
        two successive sessions of the witness after the load that have both recovered;
        end is the planned end of the audio of A. If only the last session of the
        witness has recovered, end is the planned end of its audio. The interval starts
        at the planned end of the audio of the session before the recovered session, or
        of the last audio of the load if there is no such session
    Unit: ms
    Start: the planned end of the last audio of the load
    End: the planned end of the audio of the first recovered session of the witness
    Better: lower
    Source: recovery time after an overload, as in tests of queues: a backlog is served
        long after its cause is over
    """
    finals = [each for each in values.witness.before if math.isfinite(each.final)]
    limits = {
        clip: recovery_limit(max(seen)) for clip, seen in _by_clip(finals).items()
    }
    after = sorted(
        (each for each in values.witness.after if each.at >= values.end),
        key=lambda each: each.at,
    )
    known = [
        (each.at, each.final <= limits[each.clip])
        for each in after
        if each.clip in limits
    ]
    last = values.end
    for (at, good), (_, next_good) in pairwise([*known, (math.inf, True)]):
        if good and next_good:
            low, value = (1000 * (when - values.end) for when in (last, at))
            return Estimate(value, len(known), interval=(low, value))
        last = at
    return None


@level_metric(
    unit=Unit.RATIO,
    needs="a clip with a reference transcript, sent both alone and in the steady part",
    paced=False,
)
def wer_under_load(values: LevelValues) -> Estimate | None:
    """Measure how many more words are wrong under load, per word of the reference.

    A value of 0.01 is one percentage point. Each session is compared with the same clip
    without load. In a lost session every word is wrong. The interval comes from the
    matched-pairs test over clips.

    Formula: pooled error rate of the sessions of the steady part - pooled error rate of
        the same clips alone, where a clip counts as often as it was sent under load
    Unit: ratio
    Better: lower
    Source: the matched-pairs test of Gillick and Cox (1989); a server that drops audio
        or shortens its search under load stays fast, so that no latency shows it
    """
    rows = [
        (each.answer.clip, fmean(one.wrong for one in alone), each.errors)
        for each in values.sessions
        if each.errors is not None
        and each.errors.reference
        and (alone := values.alone_errors.get(each.answer.clip))
    ]
    if not rows:
        return None
    found = matched_pairs(
        [before for _, before, _ in rows],
        [float(errors.wrong) for _, _, errors in rows],
        blocks=[clip for clip, _, _ in rows],
    )
    # Converts errors for each block, as the test returns them, to errors for each word.
    each_word = found.blocks / sum(errors.reference for _, _, errors in rows)
    return Estimate(
        found.value * each_word,
        len(rows),
        interval=_bounded((found.low * each_word, found.high * each_word)),
    )


@level_metric(
    unit=Unit.RATIO,
    needs="finals of a witness stream before the load, and sessions of this stream "
    "through the steady part",
)
def witness_inflation(values: LevelValues) -> Estimate | None:
    """Measure the factor by which the load increases the latency of a witness stream.

    The witness sends the same clips before the load and through it, at the same pace,
    so neither the mix of clips nor the order of the load has an influence. The interval
    needs about 90 sessions before the load and about 90 through it.

    Formula: p95 of final_from_commit of the witness through the steady part / p95 of
        final_from_commit of the witness before the load. The interval is the quotient
        of the exact intervals of both p95; each has a confidence of 97.5 %, so that
        both together have a confidence of 95 % (Bonferroni)
    Unit: ratio
    Better: lower
    Source: the probe requests of vLLM's benchmark, which run beside a load and are
        reported separately
    """
    before = [each.final for each in values.witness.before]
    through = [each.final for each in values.witness.through]
    usual = quantile(before, _TAIL) if before and through else math.nan
    if not 0 < usual < math.inf:
        return None
    (low, high), (least, most) = (
        quantile_interval(finals, _TAIL, 1 - 0.05 / 2) for finals in (through, before)
    )
    known = least > 0 and math.isfinite(low) and math.isfinite(most)
    return Estimate(
        quantile(through, _TAIL) / usual,
        len(through),
        interval=(low / most, high / least) if known else None,
    )


LEVEL_METRICS = (
    goodput,
    keepup_ratio,
    load_inflation,
    witness_inflation,
    latency_drift,
    fairness,
    recovery,
    wer_under_load,
)


def recovery_limit(final: float) -> float:
    """Return the largest latency (ms) of a final that counts as recovered.

    ``final`` is the latency (ms) of a final of the same clip without load.
    """
    return max(RECOVERED * final, final + NOISE)


def _answers(sessions: Iterable[LoadedSession]) -> list[Answer]:
    return [each.answer for each in sessions]


def _lost(session: LoadedSession) -> bool:
    return math.isinf(session.answer.final)


def _streams(sessions: Iterable[LoadedSession]) -> list[Hashable] | None:
    """Return the stream of each session; ``None`` for fewer than 10 streams."""
    found: list[Hashable] = [each.stream for each in sessions]
    return found if len(set(found)) >= LEAST_STREAMS else None


def _by_clip(answers: Iterable[Answer]) -> Mapping[str, list[float]]:
    """Return the latencies (ms) of the finals of each clip."""
    found: dict[str, list[float]] = defaultdict(list)
    for each in answers:
        found[each.clip].append(each.final)
    return found


def _bounded(interval: tuple[float, float]) -> tuple[float, float] | None:
    """Return an interval; ``None`` if it extends from minus to plus infinity."""
    low, high = interval
    return None if math.isinf(low) and math.isinf(high) and low != high else interval


def _interval_of_share(
    hits: Sequence[bool], blocks: Sequence[Hashable] | None
) -> tuple[float, float]:
    """Return the exact interval of the share of hits; hits in a block may be alike.

    The interval is computed for n independent values. Without blocks, or if all values
    are equal, n is the number of values. With blocks, n = p (1 - p) / v, but at
    most the number of values: p is the share of hits, and v is the variance of p. v is
    estimated from the b blocks and multiplied by (b - 1) / (b - 3), the variance of
    Student's distribution. There must be more than three blocks.

    Source: Korn and Graubard, Confidence Intervals for Proportions (1998)
    """
    n, share, variance = len(hits), fmean(hits), 0.0
    if blocks is not None:
        apart: dict[Hashable, float] = defaultdict(float)
        for hit, block in zip(hits, blocks, strict=True):
            apart[block] += hit - share
        b = len(apart)
        squares = math.fsum(each**2 for each in apart.values()) / n**2
        variance = squares * b / (b - 3)
    alike = n
    if variance > 0 and 0 < share < 1:
        alike = max(1, min(n, math.floor(share * (1 - share) / variance)))
    # Rounded away from the middle, so that the interval is not too narrow.
    low, _ = share_interval(math.floor(share * alike + 1e-9), alike)
    _, high = share_interval(math.ceil(share * alike - 1e-9), alike)
    return low, high


def _drift_interval(
    sessions: Sequence[LoadedSession], slope: float
) -> tuple[float, float] | None:
    """Return the interval of a drift; ``None`` for fewer than 5 windows of sessions.

    ``sessions`` are in the order of their time. ``slope`` is the drift itself, which is
    always inside the interval.
    """
    times = [each.answer.at for each in sessions]
    span = times[-1] - times[0]
    size = max(span / _MOST_WINDOWS, *(each.seconds for each in sessions))
    windows: dict[int, list[Answer]] = defaultdict(list)
    for each in sessions:
        place = min(int((each.answer.at - times[0]) / size), int(span / size))
        windows[place].append(each.answer)
    if len(windows) < LEAST_WINDOWS:
        return None
    low, high = theil_sen_interval(
        [fmean(each.at for each in window) / _MINUTE for window in windows.values()],
        [median(each.final for each in window) for window in windows.values()],
    )
    return _bounded((min(low, slope), max(high, slope)))
