"""Wrappers around the server's side of a session: the base classes of most faults.

Each wrapper is itself the server's side of a session (`dialects.Server`), so a wrapper
can wrap another wrapper.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.frame_edits import Event, encoded, event
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.utterance_audio import UtteranceAudio
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage

Wrap = Callable[[Server, ServerState], Server]


class ServerWrapper:
    """Wraps the server's side of a session, and passes each call on to it.

    Subclasses override some methods. ``session`` is the number of the session among the
    sessions of the fake server.
    """

    def __init__(self, server: Server, state: ServerState) -> None:
        self._server = server
        self._state = state
        self.session = state.sessions

    @property
    def rate(self) -> int:
        return self._server.rate

    @property
    def open_sessions(self) -> int:
        """The number of open sessions of the fake server."""
        return len(self._state.open_sessions)

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return self._server.open(session, created)

    def hear(self, frame: Frame) -> Reaction:
        return self._server.hear(frame)

    def expire(self) -> Reaction:
        return self._server.expire()

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        return self._server.partial(added, item)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return self._server.final(text, usage, item)


class UtteranceTracker(ServerWrapper):
    """Follows the open utterance and measures its audio.

    ``number`` is the number of utterances so far in the session. ``is_open`` says
    whether an utterance is open, from its start to its final. ``found_turn`` says
    whether the server itself detected the start of the utterance. ``early_audio``
    measures audio that comes before the next utterance starts.
    """

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self.number = 0
        self.is_open = False
        self.found_turn = False
        self.audio = UtteranceAudio(self.rate)
        self.early_audio = UtteranceAudio(self.rate)

    @property
    def is_hearing(self) -> bool:
        """Return whether an utterance is open and its audio is not complete yet."""
        return self.is_open and not self.audio.complete

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        if reaction.begin:
            replies = tuple(reaction.replies)
            reaction = replace(reaction, replies=replies)
            self.number += 1
            self.is_open = True
            self.found_turn = any("audio_start_ms" in event(reply) for reply in replies)
            # The sample rate may have changed since the last utterance.
            begun = self.early_audio if self.early_audio.chunks else self._new_audio()
            self.audio, self.early_audio = begun, self._new_audio()
            self.audio.begin()
            self.reset()
        if reaction.audio:
            (self.audio if self.is_hearing else self.early_audio).add(reaction.audio)
        if reaction.finish:
            self.audio.finish()
        return reaction

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        self.is_open = False
        return self._server.final(text, usage, item)

    def _new_audio(self) -> UtteranceAudio:
        return UtteranceAudio(self.rate)

    def reset(self) -> None:
        """Forget the previous utterance; called when the next utterance starts."""


class WordChanger(UtteranceTracker):
    """Replaces the recognised words by other words, in partials and finals alike.

    The usage counts the words that are sent. ``sent`` is the text that was sent so far
    for the open utterance.
    """

    sent = ""

    def words_for(self, word: str) -> Iterable[str]:
        """Return the words to send for a recognised word."""
        return (word,)

    def last_words(self) -> Iterable[str]:
        """Return the words to send just before the final."""
        return ()

    def reset(self) -> None:
        self.sent = ""

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        return [
            frame
            for word in added.split()
            for other in self.words_for(word)
            for frame in self.send(other, item)
        ]

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        frames = [
            frame for word in self.last_words() for frame in self.send(word, item)
        ]
        text, self.sent = self.sent, ""
        counted = replace(usage, completion=len(text.split()))
        return [*frames, *super().final(text, counted, item)]

    def send(self, word: str, item: int) -> Iterable[Frame]:
        """Append a word to the text and return the frames that send the word."""
        added = f" {word}" if self.sent else word
        self.sent += added
        return self._server.partial(added, item)


class EventChanger(ServerWrapper):
    """Changes the events that the wrapped server sends."""

    def change(self, content: Event) -> Iterable[Event]:
        """Return the events to send instead of ``content``.

        The method may change ``content`` itself.
        """
        raise NotImplementedError

    def open(self, session: str, created: int) -> Iterable[Frame]:
        return self._changed(self._server.open(session, created))

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        return replace(reaction, replies=self._changed(reaction.replies))

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        return self._changed(self._server.partial(added, item))

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return self._changed(self._server.final(text, usage, item))

    def _changed(self, frames: Iterable[Frame]) -> tuple[Frame, ...]:
        return tuple(
            encoded(content, like=frame)
            for frame in frames
            for content in self.change(event(frame))
        )
