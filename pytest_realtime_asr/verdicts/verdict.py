"""The four verdicts, and what each does to its test.

``PASS`` and ``FAIL`` describe the server. ``INCONCLUSIVE`` says that proof was asked
for and the sample is too small for it; ``INVALID`` says that the client, not the
server, determined the number.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable


class UndecidedWarning(UserWarning):
    """Something about a test that could not be decided, and did not fail it.

    It is a verdict ``INCONCLUSIVE`` or ``INVALID`` with ``--realtime-undecided=warn``,
    a comparison of too few clips, or a claim that so few sessions can never prove,
    which is reported before the first of them.
    """


class Verdict(enum.Enum):
    """The outcome of judging, from the best to the worst."""

    PASS = "PASS"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"
    FAIL = "FAIL"


class UndecidedPolicy(enum.StrEnum):
    """What happens to a test whose verdict is ``INCONCLUSIVE`` or ``INVALID``."""

    FAIL = "fail"
    WARN = "warn"


class Effect(enum.Enum):
    """What a verdict does to its test."""

    NONE = "none"
    WARN = "warn"
    FAIL = "fail"


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst verdict; without any it is ``FAIL``: nothing was measured."""
    order = list(Verdict)
    return max(verdicts, key=order.index, default=Verdict.FAIL)


def effect(
    verdict: Verdict, undecided: UndecidedPolicy = UndecidedPolicy.FAIL
) -> Effect:
    """Return what a verdict does to its test; it is reported by its own name anyway.

    ``FAIL`` fails under any policy, since it describes the server. ``INCONCLUSIVE`` and
    ``INVALID`` do not, and follow ``undecided``.
    """
    if verdict is Verdict.PASS:
        return Effect.NONE
    if verdict is Verdict.FAIL or undecided is UndecidedPolicy.FAIL:
        return Effect.FAIL
    return Effect.WARN
