"""Chooses a model of a server that lists several, some of which are not for speech."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.plan import Plan
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.text.messages import printable, shortened

TRIES = 5  # models at most
ANSWER = 1.0  # s; many servers do not answer a set-up that they accept
_LONGEST_REASON = 120  # characters
_LISTED = 10  # models in a message


class NoModel(Exception):
    """No model that was tried can be used; the message lists the models."""


def choose(
    loop: Loop,
    models: Sequence[str],
    plan: Callable[[str], Plan],
    *,
    progress: Callable[[str], None],
) -> str:
    """Return the first of the models with which the server sets up a session.

    ``plan`` returns the plan of a session with a model. At most `TRIES` models are
    tried, each in a session without audio. If all are refused for the same reason, and
    this reason names no model, the first model is returned. Raises `NoModel` if all are
    refused, and the reasons differ or name a model.
    """
    reasons: dict[str, str] = {}
    for model in models[:TRIES]:
        if len(models) == 1:
            break
        progress(f"trying the model {printable(model)}")
        reason = loop.run(_refusal(loop, plan(model)))
        if reason is None:
            return model
        reasons[model] = reason
    if len({reason.replace(model, "") for model, reason in reasons.items()}) <= 1:
        named = any(model in reason for model, reason in reasons.items())
        if not named:
            return models[0]
    tried = "; ".join(
        f"{printable(model)}: {shortened(reason, _LONGEST_REASON)}"
        for model, reason in reasons.items()
    )
    raise NoModel(
        f"the server refused each model that was tried ({tried}); {listed(models)}"
    )


def listed(models: Sequence[str]) -> str:
    """Return a sentence that tells the user to name one of these models."""
    names = ", ".join(map(printable, models[:_LISTED]))
    more = len(models) - _LISTED
    rest = f" and {more} more" if more > 0 else ""
    return f"name the model with --realtime-model; the server lists {names}{rest}"


async def _refusal(loop: Loop, plan: Plan) -> str | None:
    """Return why the server refuses to set up a session, or ``None`` on success."""
    live = Live(loop, plan)
    try:
        await live.open()
        await live.configure()
        await live.answered(1, timeout=ANSWER)
    except Lost as error:
        return str(error)
    finally:
        await live.close()
    refusals = live.timeline.refusals
    return plan.redactor.clean(str(refusals[0])) if refusals else None
