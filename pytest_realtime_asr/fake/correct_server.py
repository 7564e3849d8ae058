"""What a correct server of a dialect does, for faults that differ from it."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr.dialects import Caller, Dialect, Reaction, Server
from pytest_realtime_asr.trace.timeline import Usage

_PLAYED = 0.5  # s of silence that an imagined utterance has heard


class CorrectServer:
    """Answers how a correct server of a dialect reacts, in sessions of its own.

    No method touches a session of the fake. All raise LookupError without a dialect.
    """

    def __init__(self, dialect: Dialect | None, models: Sequence[str]) -> None:
        self._dialect = dialect
        self._models = tuple(models)
        self._played = 0  # utterances so far; each session has an id of its own

    def new(self) -> Server:
        """Return the server's side of a session that has just been opened."""
        return self._known().server(self._models)

    def set_up_frames(self) -> Sequence[str]:
        """Return the frames by which a client sets a session up."""
        return self._client().configure()

    def begins(self, frame: str | bytes) -> bool:
        """Return whether a frame begins an utterance where one may begin."""
        return self._set_up().hear(frame).begin

    def finishes(self, frame: str | bytes) -> bool:
        """Return whether a frame completes the audio of an utterance."""
        return self.in_utterance(frame).finish

    def in_utterance(self, frame: str | bytes) -> Reaction:
        """Return the reaction to a frame in the middle of an utterance."""
        return self._hearing().hear(frame)

    def audio(self, frame: str | bytes) -> bytes:
        """Return the PCM that a frame carries, empty for a frame without audio."""
        return self._set_up().hear(frame).audio

    def partial(self, text: str) -> Sequence[str]:
        """Return the frames of a partial text of an utterance."""
        return tuple(self._hearing().partial(text, 0))

    def utterance(self, text: str) -> tuple[Sequence[str], Sequence[str]]:
        """Return the replies to the end of an utterance, and the frames of its final.

        Their ids belong to another session than the client's.
        """
        server = self._hearing()
        replies = [
            reply
            for frame in self._client().finish()
            for reply in server.hear(frame).replies
        ]
        words = len(text.split())
        usage = Usage(words, words, seconds=_PLAYED)
        return replies, tuple(server.final(text, usage, 0))

    def _hearing(self) -> Server:
        """Return a server in the middle of an utterance."""
        server, client = self._set_up(), self._client()
        self._played += 1
        tuple(server.open(f"played-{self._played}", 0))
        for frame in client.begin():
            server.hear(frame)
        audio = client.append(bytes(2 * round(_PLAYED * client.rate)))
        server.hear(audio if client.binary else audio.decode())
        return server

    def _set_up(self) -> Server:
        server = self.new()
        for frame in self.set_up_frames():
            server.hear(frame)
        return server

    def _client(self) -> Caller:
        return self._known().caller(self._models[0], {})

    def _known(self) -> Dialect:
        if self._dialect is None:
            raise LookupError("this fault needs a ServerState that has a dialect")
        return self._dialect
