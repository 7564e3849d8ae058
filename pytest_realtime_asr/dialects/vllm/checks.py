"""Checks of the events of vLLM's protocol."""

from __future__ import annotations

from pytest_realtime_asr.dialects.vllm.events import (
    OWING,
    START,
    TABLE,
    CommitEvent,
    Delta,
    Done,
    Error,
    SessionCreated,
    SessionUpdated,
)
from pytest_realtime_asr.requirements import checks
from pytest_realtime_asr.requirements.evidence import Evidence
from pytest_realtime_asr.requirements.order import PossibleStates
from pytest_realtime_asr.requirements.requirement import (
    Outcome,
    Satisfied,
    Undecided,
    Violated,
)
from pytest_realtime_asr.trace.recording import Message, Recording
from pytest_realtime_asr.trace.records import Sender

_CREATED_SLACK = 24 * 3600  # s by which two clocks may differ


def identity(message: Message) -> str | None:
    """Return the id of the session that a message opens; ``None`` if it opens none."""
    return message.id if isinstance(message, SessionCreated) else None


def deltas_add_up(recording: Recording) -> Outcome:
    """Check that the joined deltas of an utterance equal the text of its final event.

    An error may have ended an utterance. The deltas after the error then belong to the
    next utterance.
    """
    wrong, example, judged = [], "", 0
    pieces: list[str] = []
    length, starts = 0, {0}  # in characters
    for index, message in enumerate(recording.messages):
        match message:
            case Delta(delta=delta):
                pieces.append(delta)
                length += len(delta)
            case Error():
                starts.add(length)
            case Done(text=final):
                judged += 1
                text = "".join(pieces)
                if not (text.endswith(final) and length - len(final) in starts):
                    example = example or f"{text!r}, not to the final text {final!r}"
                    wrong.append(index)
                pieces, length, starts = [], 0, {0}
    if wrong:
        return Violated(f"the deltas add up to {example}", tuple(wrong))
    return Satisfied() if judged else Undecided("no transcription.done came")


def one_final(recording: Recording) -> Outcome:
    """Check that each completed utterance ends either with one final or with an error.

    An error while an utterance is open may have ended the utterance, or may have
    refused a single frame. A later final shows that only a frame was refused.

    The check is undecided if errors ended all utterances. It is also undecided if a
    commit was written by hand, since such a commit may have ended any utterance.
    """
    states = PossibleStates(TABLE, start=START, of=Sender.SERVER)
    begun, finals = False, 0
    asked, extra = [], []
    for index, record in enumerate(recording.trace.records):
        message = recording.messages[index]
        ours = record.sender is Sender.CLIENT
        (states.receive if ours else states.send)(message.move)
        match message:
            case CommitEvent() if record.raw:
                return Undecided(
                    "a commit was written by hand, so no final can be assigned to an "
                    "utterance"
                )
            case CommitEvent(final=False):
                begun = True
            case CommitEvent() if begun:
                asked.append(index)
                begun = False
            case Done() if finals == len(asked):
                extra.append(index)
            case Done():
                finals += 1
    if extra:
        return Violated(
            "a transcription.done came, but it belongs to no completed utterance",
            tuple(extra),
        )
    if not asked:
        return Undecided("no utterance was completed by a final commit")
    if states.final != {OWING}:
        if not finals:
            return Undecided("every utterance was ended by an error")
        return Satisfied()
    if checks.cut(recording):
        return Undecided("the client ended the session before transcription.done")
    return Violated(
        f"no transcription.done came after the final commit: {checks.ended(recording)}",
        (asked[-1],),
        by_end=True,
        by_loss=True,
    )


def usage_adds_up(recording: Recording) -> Outcome:
    """Check that each final has token counts that are 0 or more and add up."""
    done = checks.records(recording, Done, Sender.SERVER)
    if not done:
        return Undecided("no transcription.done came")
    for index in done:
        message = recording.messages[index]
        assert isinstance(message, Done)
        tokens = message.usage
        if tokens is None:
            return Violated("transcription.done has no usage", (index,))
        prompt, completion = tokens.prompt_tokens, tokens.completion_tokens
        if min(prompt, completion) < 0 or prompt + completion != tokens.total_tokens:
            counts = f"{prompt} + {completion} = {tokens.total_tokens}"
            return Violated(
                f"the counts in usage must be 0 or more and add up, but are {counts}",
                (index,),
            )
    return Satisfied()


def created_now(recording: Recording) -> Outcome:
    """Check that ``created`` is the start time of the session, in Unix seconds."""
    if recording.trace.replayed:
        return Undecided("a replayed session states the time of its recording")
    for index, message in enumerate(recording.messages):
        if isinstance(message, SessionCreated):
            started = recording.trace.started.timestamp()
            if abs(message.created - started) > _CREATED_SLACK:
                return Violated(
                    f"created is {message.created}, but the session started at "
                    f"{started:.0f} (unix seconds)",
                    (index,),
                )
            return Satisfied()
    return Undecided("no session.created came")


def tokens_for_text(recording: Recording) -> Outcome:
    """Check that ``usage`` counts text tokens and audio tokens if there is a text."""
    judged = False
    for index in checks.records(recording, Done, Sender.SERVER):
        message = recording.messages[index]
        assert isinstance(message, Done)
        if not message.text.strip() or message.usage is None:
            continue
        judged = True
        if not (message.usage.completion_tokens and message.usage.prompt_tokens):
            return Violated(
                f"usage must count tokens of the audio and of the text "
                f"{message.text!r}, but is {message.usage}",
                (index,),
            )
    return Satisfied() if judged else Undecided("no final had both a text and a usage")


def unacknowledged(evidence: Evidence) -> Outcome:
    """Check that an accepted ``session.update`` is not answered."""
    judged = False
    for place, part in enumerate(evidence.parts):
        acks = checks.records(part.recording, SessionUpdated, Sender.SERVER)
        if acks:
            return Violated(
                "session.updated came, but the documented behaviour is to send no "
                "answer to session.update",
                tuple(acks),
                place,
            )
        judged = judged or part.text(0) is not None
    return Satisfied() if judged else Undecided("no session got a final")
