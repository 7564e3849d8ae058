"""The reader of vLLM's protocol: from records to events of the timeline."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr.dialects.vllm.events import (
    Append,
    CommitEvent,
    Delta,
    Done,
    Error,
    SessionCreated,
    Tokens,
)
from pytest_realtime_asr.trace.recording import Message
from pytest_realtime_asr.trace.records import Record
from pytest_realtime_asr.trace.timeline import (
    Commit,
    Event,
    Final,
    Heard,
    Partial,
    Refusal,
    Usage,
)


class Reader:
    """A reader that numbers utterances by their order, since no frame names them.

    An utterance that an error ended gets no final. The frames of the server count for
    this utterance until the client begins the next one.
    """

    def __init__(self) -> None:
        self.ready: int | None = None
        self.session = ""
        self._client_item = 0  # the utterance that the client's frames belong to
        self._server_item = 0  # the utterance that the server's frames belong to
        self._samples = 0
        self._length = 0
        self._begun = False
        self._failed = False  # an error came since the utterance began

    def step(self, record: Record, message: Message) -> Sequence[Event]:
        match message:
            case Append():
                return (self._heard(record, message),)
            case CommitEvent(final=True):
                if not self._begun:
                    return ()  # this commit ends no utterance
                due, woke = record.times
                commit = Commit(self._client_item, due, woke, record.at)
                self._client_item += 1
                self._samples = 0
                self._begun = False
                return (commit,)
            case CommitEvent():
                if self._failed:
                    self._server_item = self._client_item
                    self._length = 0
                    self._failed = False
                self._begun = True
            case SessionCreated(id=session) if self.ready is None:
                self.ready = record.at
                self.session = session
            case Delta(delta=added) if added:
                partial = Partial(self._server_item, record.at, self._length, added)
                self._length += len(added)
                return (partial,)
            case Done(text=text, usage=tokens):
                final = Final(self._server_item, record.at, text, _usage(tokens))
                self._server_item += 1
                self._length = 0
                self._failed = False
                return (final,)
            case Error():
                busy = self._begun or self._server_item < self._client_item
                self._failed |= busy
                item = self._server_item if busy else None
                code = message.code or ""
                return (Refusal(record.at, code, message.error, item),)
        return ()

    def _heard(self, record: Record, message: Append) -> Heard:
        if record.span is not None:
            samples = record.span.stop - record.span.start
        else:
            filler = message.audio[-2:].count("=")
            samples = (len(message.audio) * 3 // 4 - filler) // 2
        self._samples += samples
        due, woke = record.times
        return Heard(
            self._client_item, self._samples, due, woke, record.at, 2 * samples
        )


def _usage(tokens: Tokens | None) -> Usage | None:
    if tokens is None:
        return None
    return Usage(tokens.prompt_tokens, tokens.completion_tokens, tokens.total_tokens)
