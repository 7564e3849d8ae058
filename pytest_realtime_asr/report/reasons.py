"""The wording of the reasons for a verdict."""

from __future__ import annotations

from pytest_realtime_asr.metrics.pacing import ClientState
from pytest_realtime_asr.text.number_format import ms, several
from pytest_realtime_asr.verdicts.budgets import Side
from pytest_realtime_asr.verdicts.reasons import (
    ClientDelayed,
    MoreKeywords,
    MoreSessions,
    NotDecided,
    NotGood,
    NotMeasured,
    NotMeasuredOfLevel,
    NotRealTime,
    Reason,
    Simple,
    TooFew,
)
from pytest_realtime_asr.verdicts.sample import PUNCTUAL

_SIMPLE = {
    Simple.NOTHING_JUDGED: "no session was judged: nothing was measured",
    Simple.NO_REFERENCE: "cannot be measured: needs a reference transcript",
    Simple.OTHER_WORKERS: "sessions of other workers ran at the same time",
    Simple.INTERVAL_INCLUDES_LIMIT: (
        "the interval includes the limit; more utterances narrow the interval"
    ),
    Simple.NO_KEYWORD: "no reference contains any of the keywords",
    Simple.NO_LEVEL: (
        "no level of load was run: nothing was measured; call realtime.load in the test"
    ),
}


def reason_text(reason: Reason | None) -> str:
    """Return the wording of a reason, as part of a line; empty if there is none."""
    match reason:
        case None:
            return ""
        case Simple():
            return _SIMPLE[reason]
        case NotMeasured(missing, of, needs):
            return f"cannot be measured in {missing} of {of} sessions: needs {needs}"
        case NotMeasuredOfLevel(needs):
            return f"cannot be measured: needs {needs}"
        case MoreSessions(count):
            more = several(count, "more session")
            return f"{more} within the limit would prove that the limit is met"
        case MoreKeywords(count):
            more = several(count, "more spoken keyword")
            return f"{more}, all recognised, would prove that the limit is met"
        case NotRealTime(pace):
            return (
                f"a latency at pace {pace:g} is not in real time; measure at pace 1: "
                "mark the test with @pytest.mark.realtime(pace=1); --realtime-pace "
                "overrides this marker"
            )
        case ClientDelayed():
            return _client(reason)
        case NotDecided(n, most) if n < most:
            return f"not decided after {n} of at most {most} sessions"
        case NotDecided(_, most):
            return f"not decided within {several(most, 'session')}"
        case NotGood(share, side):
            beyond = "over" if side is Side.AT_MOST else "under"
            sessions = f"{share * 100:g} % of its sessions"
            return f"a good server has at most {sessions} {beyond} the limit"
        case TooFew(least, speakers):
            noun = "speakers" if speakers else "utterances"
            return f"fewer than {least} {noun} prove nothing"


def client_state(state: ClientState) -> str:
    """Return one line that says how late and how busy the client was in a session."""
    return (
        f"send delay p99 {state.send:.1f} ms, loop lag p99 {state.loop:.1f} ms, "
        f"GC pause {state.pause:.1f} ms, CPU {state.cpu:.0%} of a core"
    )


def _client(reason: ClientDelayed) -> str:
    parts, of = [], f"of {reason.of} sessions"
    if reason.late:
        parts.append(
            f"the client was delayed in {reason.late} {of} (up to "
            f"{ms(reason.max_ms)} ms; {ms(reason.tolerated_ms)} ms are tolerated)"
        )
    if reason.overloaded:
        parts.append(
            "the client used more than two thirds of a core in "
            f"{reason.overloaded} {of}"
        )
    if reason.state != PUNCTUAL:
        parts.append(f"in {reason.worst}: {client_state(reason.state)}")
    return "; ".join(parts)
