"""The four verdicts, and the effect of each on its test.

``PASS`` and ``FAIL`` describe the server. ``INCONCLUSIVE`` means that the user asked
for a proof, but the sample is too small to prove anything. ``INVALID`` means that the
client, not the server, determined the measured value.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable


class UndecidedWarning(UserWarning):
    """The warning about a test that could not be decided, but did not fail.

    There are three causes: a verdict ``INCONCLUSIVE`` or ``INVALID`` with
    ``--realtime-undecided=warn``; a comparison of too few clips; and a budget that
    cannot be proven with the planned number of sessions, which is reported before the
    first session.
    """


class Verdict(enum.Enum):
    """The outcome of judging; the members are in order from the best to the worst."""

    PASS = "PASS"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    FAIL = "FAIL"


class UndecidedPolicy(enum.StrEnum):
    """The treatment of a test whose verdict is ``INCONCLUSIVE`` or ``INVALID``."""

    FAIL = "fail"
    WARN = "warn"
    SKIP = "skip"


class Effect(enum.Enum):
    """The effect of a verdict on its test."""

    NONE = "none"
    WARN = "warn"
    SKIP = "skip"
    FAIL = "fail"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst verdict; ``FAIL`` if there is none."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.FAIL)


def effect(
    verdict: Verdict, undecided: UndecidedPolicy = UndecidedPolicy.FAIL
) -> Effect:
    """Return the effect of a verdict on its test.

    ``FAIL`` fails the test under any policy, since it describes the server. The effect
    of ``INCONCLUSIVE`` and ``INVALID`` depends on the policy ``undecided``. Reports
    show the verdict itself, whatever its effect.
    """
    if verdict is Verdict.PASS:
        return Effect.NONE
    if verdict is Verdict.FAIL or undecided is UndecidedPolicy.FAIL:
        return Effect.FAIL
    return Effect.SKIP if undecided is UndecidedPolicy.SKIP else Effect.WARN
