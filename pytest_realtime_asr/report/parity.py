"""The wording of the result of a parity check."""

from __future__ import annotations

from pytest_realtime_asr.report.alignment import lines
from pytest_realtime_asr.requirements.pseudo_reference import MARGIN
from pytest_realtime_asr.text.name_list import first_names
from pytest_realtime_asr.verdicts.parity import (
    LEAST_ALONE,
    REPEATS,
    Cause,
    Difference,
    Losses,
    Parity,
)


def summary(parity: Parity) -> str:
    """Return one line about the whole result."""
    noise = "not known" if parity.noise is None else f"{parity.noise} words"
    lost = f", {parity.lost} lost" if parity.lost else ""
    parts = [
        f"the server's own variation is {noise}; this variation plus "
        f"{MARGIN:.0%} of the words is tolerated",
        f"{parity.texts} texts{lost}",
    ]
    if parity.unused:
        parts.append(f"not judged: {first_names(parity.unused)}")
    differ = len(parity.differences)
    reason = cause(parity)
    tail = "" if reason is None else f": {reason}"
    return (
        f"parity over {parity.over}: {differ} of {parity.judged} utterances differ "
        f"({'; '.join(parts)}); {parity.verdict.value}{tail}"
    )


def details(parity: Parity, *, width: int = 80) -> str:
    """Return the summary, and below it each clip that differs, word by word."""
    shown = (_difference(each, width) for each in parity.differences)
    return "\n".join([summary(parity), *shown])


def cause(parity: Parity) -> str | None:
    """Return the cause of the verdict, or ``None`` if the texts show the cause."""
    losses = None if parity.losses is None else _losses(parity.losses)
    match parity.cause:
        case Cause.LOST:
            return losses
        case Cause.NOISE:
            clips = parity.judged + len(parity.unused)
            judged = f"only {parity.judged} of {clips} clips can be judged"
            return f"the server's own variation is too large: {judged}"
        case Cause.UNKNOWN_NOISE:
            why = losses or f"send each clip alone at least {LEAST_ALONE} times"
            return f"the server's own variation is not known: {why}"
        case Cause.FEW_REPEATS:
            repeat = first_names(parity.repeat)
            return (
                f"a single difference may be due to chance; send {repeat} {REPEATS} "
                "times"
            )
        case None:
            return None


def _difference(difference: Difference, width: int) -> str:
    """Return the most different text of a clip, aligned with the solo transcript."""
    solo = difference.solo
    worst = max(difference.texts, key=solo.distance)
    off = f"{solo.distance(worst)} of {solo.words} words differ"
    often = f"in {len(difference.texts)} of {difference.of} sessions"
    head = f"{solo.utterance.id}: {off}; {often}"
    return f"{head}\n{lines(solo.aligned(worst), width=width)}"


def _losses(losses: Losses) -> str:
    alone = " that ran alone" if losses.alone else ""
    return (
        f"{losses.count} of {losses.of} sessions{alone} were lost; "
        f"{losses.utterance} {losses.first.how}: {losses.first.reason}"
    )
