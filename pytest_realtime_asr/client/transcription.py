"""One utterance that was sent to a server, and its transcription."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from pytest_realtime_asr import metrics
from pytest_realtime_asr.audio import Audio, AudioError
from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.spoken_audio import described
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.metrics import Measures
from pytest_realtime_asr.metrics.accuracy import (
    characters,
    words,
)
from pytest_realtime_asr.metrics.alignment import Alignment
from pytest_realtime_asr.metrics.causality import Premature
from pytest_realtime_asr.metrics.keywords import Keywords, recognised
from pytest_realtime_asr.metrics.normalizers import Normalizer
from pytest_realtime_asr.metrics.pacing import (
    ClientState,
    Counts,
    client_state,
    counts,
    scheduling_delay,
)
from pytest_realtime_asr.requirements.evidence import Part
from pytest_realtime_asr.requirements.requirement import Requirement
from pytest_realtime_asr.requirements.violations import Violation, observe
from pytest_realtime_asr.text.messages import printable, shortened
from pytest_realtime_asr.trace.recording import Recording
from pytest_realtime_asr.trace.records import Trace
from pytest_realtime_asr.trace.timeline import Texts, Timeline, Usage
from pytest_realtime_asr.verdicts.sample import Sample
from pytest_realtime_asr.verdicts.utterance_record import Conditions

_LONGEST_LABEL = 120  # characters of a session id


class Purpose(enum.StrEnum):
    """Why an utterance was sent; budgets count only `TEST` utterances.

    A `BASELINE` utterance is sent to another server, with which the target is compared.
    A `PARITY` utterance is sent for a parity check, and its latencies are not judged. A
    `DISTURBED` utterance was sent in a session that the client disturbed; the session
    was run again, and its first run is kept only as evidence. An `INTERRUPTED`
    utterance was ended by an interrupt of the run. An `ALONE` utterance is sent without
    load, to be compared with the same clip under load. A `RAMP` utterance is sent
    before the steady part of a load, and a `DRAIN` utterance is sent after it. A
    `SEARCH` utterance is sent under a load that only steers the search for the
    capacity. A `WITNESS` utterance is sent by a witness, a separate stream beside the
    load.
    """

    TEST = "test"
    BASELINE = "baseline"
    PARITY = "parity"
    DISTURBED = "disturbed"
    INTERRUPTED = "interrupted"
    ALONE = "alone"
    RAMP = "ramp"
    DRAIN = "drain"
    SEARCH = "search"
    WITNESS = "witness"


@dataclass(frozen=True, slots=True)
class Measured:
    """The measurements of one utterance, without its recording.

    Each field means the same as the property of `Transcription` with this name.
    ``audio`` is the digest of the samples that were sent.
    """

    session: str
    text: str
    metrics: Mapping[str, float | None]
    premature: Mapping[str, Premature]
    counts: Counts
    usage: Usage | None
    client_state: ClientState
    scheduling_delay: float
    violations: tuple[Violation, ...] = ()
    audio: str = ""


@dataclass(frozen=True)
class Transcription:
    """The result of one utterance; its properties are computed when they are read.

    ``recording`` is the recording of the whole session. ``item`` is the index of the
    utterance in the session, from 0. If there is no final, ``lost`` is the kind of the
    loss and ``reason`` explains it; otherwise both are empty. ``raised`` says that
    `Lost` was raised in the test. The utterance was sent under ``conditions``.
    ``again`` says that the session is the retry of a session that the client disturbed.
    ``found`` says how the dialect was detected, and is empty if the user named the
    dialect. ``kept`` and ``written`` are ``None`` if the recording is complete. If the
    frames of the recording were dropped, ``kept`` has what was measured before that,
    and ``written`` is the trace as JSON Lines, without secrets. ``written`` is ``None``
    if the trace was dropped too. If the utterance was sent under load, ``level`` is the
    number of the level; otherwise it is ``None``.
    """

    utterance: Utterance
    recording: Recording = field(repr=False)
    dialect: Dialect = field(repr=False)
    rules: tuple[Requirement, ...] = field(default=(), repr=False)
    found: str = ""
    item: int = 0
    lost: Loss = Loss.NONE
    reason: str = ""
    raised: bool = False
    conditions: Conditions = field(default=Conditions(), repr=False)
    purpose: Purpose = Purpose.TEST
    again: bool = False
    kept: Measured | None = field(default=None, repr=False)
    written: bytes | None = field(default=None, repr=False)
    level: int | None = None

    @property
    def trace(self) -> Trace:
        """The trace of the whole session."""
        return self.recording.trace

    @cached_property
    def timeline(self) -> Timeline:
        """The session's timeline, reduced to the events of this utterance."""
        return self.recording.timeline.item(self.item)

    @cached_property
    def text(self) -> str:
        """The text of the final, or of the last partial if there is no final."""
        return self.timeline.text if self.kept is None else self.kept.text

    def dumps(self) -> bytes | None:
        """Return the trace as JSON Lines; ``None`` if it was dropped."""
        if self.kept is not None:
            return self.written
        return replace(self.trace, spoken=(described(self.utterance),)).dumps()

    @property
    def hypothesis(self) -> str | None:
        """The text that is compared with the reference, ``None`` without a final."""
        return None if self.lost else self.text

    @property
    def partials(self) -> Texts:
        """The text after each update; the last one is the final text."""
        return self.timeline.texts

    @property
    def usage(self) -> Usage | None:
        """The audio or tokens that the server counted, as the final reports them."""
        if self.kept is not None:
            return self.kept.usage
        return self.timeline.final.usage if self.timeline.final else None

    @cached_property
    def _measures(self) -> Measures:
        if self.kept is not None:
            return Measures(self.kept.metrics, self.kept.premature)
        return metrics.measures(self.timeline, self.utterance)

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """The value of every metric by name, in the unit of the metric.

        A metric that cannot be computed has the value ``None``.
        """
        return self._measures.values

    @property
    def premature(self) -> Mapping[str, Premature]:
        """The metrics whose event came before its cause, each with the reason."""
        return self._measures.premature

    @cached_property
    def counts(self) -> Counts:
        """The amount of audio that was sent, and the number of tokens."""
        return counts(self.timeline) if self.kept is None else self.kept.counts

    @cached_property
    def client_state(self) -> ClientState:
        """How busy the client was during the session."""
        if self.kept is not None:
            return self.kept.client_state
        return client_state(self.timeline)

    @cached_property
    def scheduling_delay(self) -> float:
        """The largest scheduling delay of the client in ms, 0 if none is known."""
        if self.kept is not None:
            return self.kept.scheduling_delay
        return scheduling_delay(self.timeline) or 0.0

    @cached_property
    def _cleaned(self) -> str | None:
        """The text that is compared with the reference, without secrets.

        All error counts are of this text, so that they agree with the texts that
        reports and traces contain. Secrets are removed before the text is normalised,
        because a normaliser could change the spelling of a secret, which would then not
        be recognised.
        """
        text = self.hypothesis
        return None if text is None else self.trace.redactor.clean(text)

    @cached_property
    def alignment(self) -> Alignment:
        """The alignment of the normalised text with the normalised reference.

        Secrets are removed from the text first. The alignment is by words; in a writing
        system without spaces between words, it is by characters. The normaliser is the
        default for the language of the reference.
        """
        return self._aligned(None)

    @cached_property
    def characters(self) -> Alignment:
        """The alignment of text and reference by characters, in every language.

        Secrets are removed from the text first.
        """
        spoken = self.utterance
        return characters(spoken.text, self._cleaned, language=spoken.language)

    def align(self, normalizer: Normalizer | None) -> Alignment:
        """Return the alignment from which the WER of the text is computed.

        Without a normaliser, it is `alignment`. Secrets are removed from the text
        first.
        """
        return self.alignment if normalizer is None else self._aligned(normalizer)

    def recognise(
        self, keywords: Sequence[str], normalizer: Normalizer | None
    ) -> Keywords:
        """Return which of the keywords in the reference are also in the text.

        As in `align`, secrets are removed from the text first.
        """
        spoken = self.utterance
        return recognised(
            keywords,
            spoken.text,
            self._cleaned,
            normalizer=normalizer,
            language=spoken.language,
        )

    def _aligned(self, normalizer: Normalizer | None) -> Alignment:
        spoken = self.utterance
        return words(
            spoken.text,
            self._cleaned,
            normalizer=normalizer,
            language=spoken.language,
        )

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """The server's violations in the session, up to the end of the utterance."""
        if self.kept is not None:
            return self.kept.violations
        spoken = {self.item: self.utterance}
        return observe(self.rules, Part("", self.recording, spoken))

    @property
    def session(self) -> str:
        """The id that the server gave the session, "" if it gave none."""
        return self.timeline.session if self.kept is None else self.kept.session

    @property
    def audio(self) -> str:
        """The digest of the samples, or "" if the audio cannot be decoded."""
        if self.kept is not None:
            return self.kept.audio
        try:
            return self.utterance.audio.digest
        except AudioError:
            return ""

    @property
    def measured(self) -> Measured:
        """All measurements, to be kept when the recording is dropped."""
        return Measured(
            session=self.session,
            text=self.text,
            metrics=self.metrics,
            premature=self.premature,
            counts=self.counts,
            usage=self.usage,
            client_state=self.client_state,
            scheduling_delay=self.scheduling_delay,
            violations=self.violations,
            audio=self.audio,
        )

    def counts_for(self, metric: str) -> bool:
        """Return whether the transcription counts for a metric.

        For metrics of the connection, only the first utterance of a session counts. For
        metrics of silence, only utterances with an empty reference count.
        """
        if metric in metrics.SILENT:
            return not self.utterance.text.strip()
        return self.item == 0 or metric not in metrics.ONCE

    def sample(self, metric: str) -> Sample:
        """Return the sample that a budget for a metric judges."""
        beside = metrics.CATALOGUE[metric].beside
        return Sample(
            label=self.label,
            value=self.metrics[metric],
            lost=self.lost,
            late_ms=self.scheduling_delay,
            clip=self.utterance.clip,
            own=self.client_state,
            blocked_ms=self.metrics["send_blocked"] or 0.0,
            path_ms=self.metrics["path_round_trip"],
            again=self.again,
            beside=None if beside is None else self.metrics[beside],
            premature=self.premature.get(metric),
        )

    @property
    def label(self) -> str:
        """The name of the utterance in reports, which is the id of its session.

        For the second and each later utterance of a session, the number of the
        utterance is added. If the session has no id, the name consists of the id of the
        utterance and the time at which the session started.
        """
        begun = f"{self.trace.started:%H:%M:%S.%f}"
        known = shortened(printable(self.session), _LONGEST_LABEL)
        name = known or f"{self.utterance.id}@{begun}"
        return f"{name}#{self.item + 1}" if self.item else name


@dataclass(frozen=True, slots=True)
class Begun:
    """An utterance that has begun in a session; for its fields see `Transcription`."""

    live: Live
    utterance: Utterance
    item: int = 0
    raised: bool = False
    conditions: Conditions = field(default=Conditions())
    purpose: Purpose = Purpose.TEST
    again: bool = False

    def ended(self, lost: Lost | None = None) -> Transcription:
        """Return the transcription, made from what the session has recorded so far."""
        plan = self.live.plan
        return Transcription(
            utterance=self.utterance,
            recording=self.live.recording,
            dialect=plan.dialect,
            rules=plan.rules,
            found=plan.found,
            item=self.item,
            lost=Loss.NONE if lost is None else lost.how,
            reason="" if lost is None else str(lost),
            raised=self.raised,
            conditions=self.conditions,
            purpose=self.purpose,
            again=self.again,
        )


async def run_session(live: Live, utterance: Utterance) -> Lost | None:
    """Open a session, send one utterance and close the session.

    Return the loss, or ``None`` if there is a final.
    """
    # Decode the audio first: a server may count the time from the session's opening.
    audio = await live.audio(utterance)
    if live.plan.replayed:
        live.plan = replace(live.plan, announced=utterance.audio.digest)
    return await run_decoded(live, audio, utterance.id)


async def run_decoded(live: Live, audio: Audio, asset: str) -> Lost | None:
    """Open a session, send audio and close the session.

    ``audio`` has the sample rate of the session. ``asset`` is the name of the audio in
    the trace. Return the loss, or ``None`` if there is a final.
    """
    try:
        await live.open()
        await live.configure()
        await live.transcribe(audio, asset)
    except Lost as error:
        return error
    finally:
        await live.close()
    return None


async def run_utterance(live: Live, utterance: Utterance) -> Transcription:
    """Run a session with one utterance; return the transcription, even after a loss."""
    lost = await run_session(live, utterance)
    return Begun(live, utterance).ended(lost)
