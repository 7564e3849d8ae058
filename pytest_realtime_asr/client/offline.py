"""Transcriptions that are made again from a written trace, without a server.

The trace describes what was said (`Spoken`), so that metrics, errors and requirements
are computed by the same code as in the run, and have the same values.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_realtime_asr import dialects
from pytest_realtime_asr.audio import silence
from pytest_realtime_asr.client.loss import LOSSES, Loss
from pytest_realtime_asr.client.transcription import Transcription
from pytest_realtime_asr.corpus import Corpus, Utterance, Word
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.text.privacy import is_withheld
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Trace, Vantage
from pytest_realtime_asr.trace.spoken import Spoken
from pytest_realtime_asr.trace.timeline import Timeline


class OfflineError(ValueError):
    """A trace that cannot be judged; the message says why and what to do."""


def is_private(trace: Trace) -> bool:
    """Return whether the trace is of a private run; such a trace has no texts."""
    texts = (record.text for record in trace.records)
    return any(is_withheld(text) for text in texts if text is not None)


def rules(dialect: Dialect, trace: Trace) -> tuple[Requirement, ...]:
    """Return the requirements that apply to the server version in the trace."""
    every = dialect.requirements
    return tuple(each for each in every if each.applies_to(trace.version))


def transcriptions(
    trace: Trace, *, corpus: Corpus | None = None
) -> tuple[Transcription, ...]:
    """Return the transcriptions of the utterances of a session, in order.

    ``corpus`` has the utterances that the trace does not describe. Raises
    `OfflineError` if an utterance is not known, or if the trace is of a private run or
    was recorded by a server. Raises LookupError if the dialect is not installed.
    """
    if trace.vantage is Vantage.SERVER:
        raise OfflineError(
            "the trace was recorded by a server, and its times are those of the "
            "server; give a trace that the client has recorded"
        )
    if is_private(trace):
        raise OfflineError(
            "the trace is of a private run and has no texts, so nothing can be judged; "
            "the report of that run has its numbers"
        )
    dialect = dialects.load(trace.dialect)
    recording = dialects.recording(dialect, trace)
    if not recording.items:
        raise OfflineError("no audio was sent in the session, so there is no utterance")
    spoken = utterances(recording, corpus)
    if not spoken:
        raise OfflineError(
            "the session has sent none of the audio that the trace describes, so there "
            "is no utterance to judge"
        )
    required = rules(dialect, trace)
    return tuple(
        _transcription(recording, dialect, required, item, utterance)
        for item, utterance in spoken.items()
    )


def utterances(
    recording: Recording, corpus: Corpus | None = None
) -> Mapping[int, Utterance]:
    """Return the utterances of a session that are known, by item number.

    An utterance that the trace describes is made from the description, with silence in
    place of the audio. Other utterances come from the ``corpus``. An utterance that is
    found in neither is left out if the trace describes another one, since a trace may
    be written for a single utterance of its session. If the trace describes none,
    `OfflineError` is raised.
    """
    described = {each.asset: each for each in recording.trace.spoken}
    known = {} if corpus is None else {each.id: each for each in corpus}
    found: dict[int, Utterance] = {}
    for item in recording.items:
        asset = recording.asset(item)
        if asset in described:
            found[item] = _utterance(described[asset])
        elif asset in known:
            found[item] = known[asset]
        elif not described:
            raise OfflineError(
                f"the trace does not say what was said in {asset or 'its audio'}; name "
                "the corpus of the run with --corpus"
            )
    return found


def _utterance(spoken: Spoken) -> Utterance:
    """Return an utterance with silence in place of the audio."""
    return Utterance(
        spoken.asset,
        spoken.text,
        silence(spoken.seconds),
        words=tuple(Word(w.text, w.start, w.end) for w in spoken.words),
        language=spoken.language,
        located=spoken.speech,
    )


def _transcription(
    recording: Recording,
    dialect: Dialect,
    rules: tuple[Requirement, ...],
    item: int,
    utterance: Utterance,
) -> Transcription:
    lost = _lost(recording.timeline.item(item))
    return Transcription(
        utterance=utterance,
        recording=recording,
        dialect=dialect,
        rules=rules,
        item=item,
        lost=lost,
        reason=recording.trace.end.reason if lost else "",
    )


def _lost(timeline: Timeline) -> Loss:
    """Return why an utterance has no final; `Loss.NONE` if it has one."""
    if timeline.final is not None:
        return Loss.NONE
    return Loss.REFUSED if timeline.refusals else LOSSES[timeline.end.how]
