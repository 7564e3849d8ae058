"""Levels of a search, decided by hand."""

from __future__ import annotations

from pytest_realtime_asr.load.decision import Decision, LimitDecision, Proof, Risk
from pytest_realtime_asr.load.error_budget import ANY_RISK
from pytest_realtime_asr.load.trials import Step, Task, Trial
from pytest_realtime_asr.verdicts.verdict import Verdict

_VERDICTS = {
    Proof.HOLDS: Verdict.PASS,
    Proof.MISSES: Verdict.FAIL,
    Proof.NONE: Verdict.INCONCLUSIVE,
}


def limit(
    share: float, *, n: int = 200, lost: int = 0, **changes: object
) -> LimitDecision:
    """A p95 whose share over the limit is this."""
    over = round(share * n)
    made = {
        "name": "final_from_commit p95",
        "limit": 800.0,
        "verdict": Verdict.INCONCLUSIVE,
        "n": n,
        "observed": 900.0 if share > 0.05 else 300.0,
        "excess": over / n / 0.05,
        "over": over,
        "lost": lost,
        "allowed": 0.05,
        "effective": float(n),
    }
    return LimitDecision(**{**made, **changes})  # type: ignore[arg-type]


def trial(
    step: Step,
    streams: int,
    share: float = 0.0,
    proof: Proof = Proof.NONE,
    *,
    n: int = 200,
    lost: int = 0,
    hold: float = 60.0,
    risk: Risk = ANY_RISK,
    aborted: bool = False,
    client: bool = False,
) -> Trial:
    """A level with a share over its limit, and what it proves."""
    verdict = Verdict.INVALID if client else _VERDICTS[proof]
    made = limit(share, n=n, lost=lost, verdict=verdict, proof=proof, excused=client)
    decision = Decision(
        streams, verdict, proof, (made,), "aborted" if aborted else "", aborted
    )
    return Trial(Task(step, streams, hold, risk), decision)
