"""One utterance that was sent to a server: how it was begun, and what became of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pytest_realtime_asr import metrics
from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.corpus import Utterance
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.metrics import Measures
from pytest_realtime_asr.metrics.accuracy import (
    characters,
    words,
)
from pytest_realtime_asr.metrics.alignment import Alignment
from pytest_realtime_asr.metrics.causality import Premature
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
from pytest_realtime_asr.verdicts.utterance_record import Conditions

_LONGEST_LABEL = 120  # characters of a session id


class Purpose(enum.StrEnum):
    """Why an utterance was sent; budgets count only `TEST`.

    `BASELINE` goes to another server, with which the target is compared. Latencies of
    `PARITY` are not meant to be good. A session that the client `DISTURBED` was run
    again, and is kept as evidence only.
    """

    TEST = "test"
    BASELINE = "baseline"
    PARITY = "parity"
    DISTURBED = "disturbed"


@dataclass(frozen=True)
class Transcription:
    """What became of one utterance. Each result is derived once, when it is asked for.

    ``recording`` is that of its whole session, in which it has the number ``item``.
    ``lost`` is a word, and ``reason`` a sentence, for why there is no final; both are
    empty where there is one. ``raised`` says that the loss was raised in the test.
    ``conditions`` are how the utterance was sent, ``again`` says that this is the retry
    of a session that the client disturbed. ``found`` says how the dialect was detected,
    "" where the user named it.
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

    @property
    def trace(self) -> Trace:
        """The frames of the whole session."""
        return self.recording.trace

    @cached_property
    def timeline(self) -> Timeline:
        """What happened in the session, with the events of this utterance alone."""
        return self.recording.timeline.item(self.item)

    @cached_property
    def text(self) -> str:
        """The final text; without a final, the last partial."""
        return self.timeline.text

    @property
    def hypothesis(self) -> str | None:
        """The text as it is scored: ``None`` where there is no final."""
        return None if self.lost else self.text

    @property
    def partials(self) -> Texts:
        """The text after each update, the final one last; built on access."""
        return self.timeline.texts

    @property
    def usage(self) -> Usage | None:
        """What the server reported that it had counted."""
        return self.timeline.final.usage if self.timeline.final else None

    @cached_property
    def _measures(self) -> Measures:
        return metrics.measures(self.timeline, self.utterance)

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """Every metric by name, in its unit; ``None`` where its needs are not met."""
        return self._measures.values

    @property
    def premature(self) -> Mapping[str, Premature]:
        """The metrics whose event preceded what it answers: no measurements."""
        return self._measures.premature

    @cached_property
    def counts(self) -> Counts:
        """The audio that was sent, and the tokens."""
        return counts(self.timeline)

    @cached_property
    def client_state(self) -> ClientState:
        """How busy the client was during the session."""
        return client_state(self.timeline)

    @cached_property
    def scheduling_delay(self) -> float:
        """The largest scheduling delay of the client in ms, 0 where none is known."""
        return scheduling_delay(self.timeline) or 0.0

    @cached_property
    def alignment(self) -> Alignment:
        """The alignment with the reference, by the normaliser of its language.

        It is by words or, in a script without spaces between them, by characters.
        """
        return self._aligned(self.hypothesis)

    @cached_property
    def characters(self) -> Alignment:
        """The alignment with the reference by characters, in every script."""
        language = self.utterance.language
        return characters(self.utterance.text, self.hypothesis, language=language)

    def align(self, normalizer: Normalizer | None) -> Alignment:
        """Align the text with the reference as a WER threshold does.

        Secrets are removed before: a normaliser would spell them in a way in which
        nothing finds them any more.
        """
        text = self.hypothesis
        clean = None if text is None else self.trace.redactor.clean(text)
        if normalizer is None and clean == text:
            return self.alignment
        return self._aligned(clean, normalizer)

    def _aligned(
        self, text: str | None, normalizer: Normalizer | None = None
    ) -> Alignment:
        spoken = self.utterance
        return words(spoken.text, text, normalizer=normalizer, language=spoken.language)

    @cached_property
    def violations(self) -> tuple[Violation, ...]:
        """The rules that its session has violated up to the end of the utterance."""
        return observe(self.rules, Part("", self.recording))

    @property
    def session(self) -> str:
        """The id that the server gave the session, "" without one."""
        return self.timeline.session

    @property
    def label(self) -> str:
        """The id of the session, and the number of an utterance after its first.

        A session without an id is named by its utterance and its start.
        """
        begun = f"{self.trace.started:%H:%M:%S.%f}"
        known = shortened(printable(self.session), _LONGEST_LABEL)
        name = known or f"{self.utterance.id}@{begun}"
        return f"{name}#{self.item + 1}" if self.item else name


@dataclass(frozen=True, slots=True)
class Begun:
    """An utterance that has begun in a session, with fields as in `Transcription`."""

    live: Live
    utterance: Utterance
    item: int = 0
    raised: bool = False
    conditions: Conditions = field(default=Conditions())
    purpose: Purpose = Purpose.TEST
    again: bool = False

    def ended(self, lost: Lost | None = None) -> Transcription:
        """Return what became of it, by what the session has recorded so far."""
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
    """Open a session, send one utterance in it and close it; return its loss."""
    # Decoded before the session opens, since the server counts the time from there.
    audio = await live.audio(utterance)
    try:
        await live.open()
        await live.configure()
        await live.transcribe(audio, utterance.id)
    except Lost as error:
        return error
    finally:
        await live.close()
    return None


async def run_utterance(live: Live, utterance: Utterance) -> Transcription:
    """Run one session with one utterance; a loss is recorded and not raised."""
    lost = await run_session(live, utterance)
    return Begun(live, utterance).ended(lost)
