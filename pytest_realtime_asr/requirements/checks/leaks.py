"""Checks of what a server must not show: secrets and stack traces.

Frames, the reasons in close frames and HTTP pages are searched.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from pytest_realtime_asr.requirements.checks.combinators import (
    by_hand,
)
from pytest_realtime_asr.requirements.checks.refusals import answers_by_hand
from pytest_realtime_asr.requirements.evidence import Evidence, Part
from pytest_realtime_asr.requirements.requirement import (
    Check,
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.text.redaction import REMOVED, WRITTEN
from pytest_realtime_asr.trace.records import HIDDEN, Ending, Sender, Trace

_STACK = re.compile(r'Traceback \(most recent call last\)|File \\?"[^"]+", line \d+')


def no_stack_trace(evidence: Evidence) -> Outcome:
    """Check that no frame, close reason or HTTP page shows a stack trace."""
    return _shown_nowhere(
        evidence, lambda text: bool(_STACK.search(text)), "a stack trace"
    )


def never_repeated(text: str, what: str) -> Check:
    """Return a check that the server never sends ``text`` back to the client.

    The scenario sends ``text`` in a frame written by hand. ``what`` names the text in
    messages.
    """

    def check(evidence: Evidence) -> Outcome:
        given = [part for part in evidence.parts if by_hand(part)]
        if not given:
            return Undecided(f"{what} was not sent to the server")
        if not any(map(answers_by_hand, given)):
            return Undecided(f"no error came after {what} was sent to the server")
        return _shown_nowhere(evidence, lambda sent: text in sent, what)

    return check


def _shown_nowhere(
    evidence: Evidence, holds: Callable[[str], bool], what: str
) -> Outcome:
    for answer in evidence.answers:
        if answer.status and holds(answer.body):
            return Violated(f"{answer.role}: the HTTP page shows {what}", ())
    checked = any(answer.status for answer in evidence.answers)
    for place, part in enumerate(evidence.parts):
        for index, text in _sent(part):
            checked = True
            if holds(text):
                return Violated(f"a frame of the server shows {what}", (index,), place)
        end = part.trace.end
        if end.how is Ending.CLOSED_BY_PEER and holds(end.reason):
            shown = f"the reason in the server's close frame shows {what}"
            return Violated(shown, (), place)
    return Satisfied() if checked else Undecided("the server sent nothing")


def _sent(part: Part) -> Iterator[tuple[int, str]]:
    """Yield the index and the text of each frame of the server.

    In the text of a binary frame, bytes that are not UTF-8 are replaced.
    """
    for index, record in enumerate(part.trace.records):
        if record.sender is Sender.SERVER:
            data = record.data or b""
            yield index, record.text or data.decode(errors="replace")


def no_secret(evidence: Evidence) -> Outcome:
    """Check that no frame, close reason or HTTP page shows the key of the client.

    Frames are decoded first, so that an escaped key is found. A key is also found if
    its pieces are in the same field of several frames, such as deltas.
    """
    what = "the client's key"
    for answer in evidence.answers:
        known = (part.trace.redactor for part in evidence.parts)
        if answer.status and any(each.shows(answer.body) for each in known):
            return Violated(f"{answer.role}: the HTTP page shows {what}", ())
    checked = any(answer.status for answer in evidence.answers)
    for place, part in enumerate(evidence.parts):
        sent = list(_sent(part))
        checked |= bool(sent)
        if shown := _shown(part.trace, sent):
            return Violated(f"a frame of the server shows {what}", shown, place)
        end = part.trace.end
        if end.how is Ending.CLOSED_BY_PEER and _hidden(part.trace, end.reason):
            message = f"the reason in the server's close frame shows {what}"
            return Violated(message, (), place)
    return Satisfied() if checked else Undecided("the server sent nothing")


def _shown(trace: Trace, sent: Sequence[tuple[int, str]]) -> tuple[int, ...]:
    """Return the indexes of the frames that show a secret of the client."""
    found = trace.redactor.shown_by([text for _, text in sent])
    shown = {sent[place][0] for place in found}
    shown |= {index for index, text in sent if _hidden(trace, text)}
    return tuple(sorted(shown))


def _hidden(trace: Trace, text: str) -> bool:
    """Return whether a text has a secret, or had a secret that was removed from it.

    Secrets are removed when a trace is written to a file.
    """
    if trace.redactor is WRITTEN:
        return REMOVED in text
    return trace.redactor.shows(text) or text.endswith(HIDDEN)
