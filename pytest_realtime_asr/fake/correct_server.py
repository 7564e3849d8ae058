"""The behaviour of a correct server of a dialect, which some faults need to know."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_realtime_asr.dialects import (
    Caller,
    Dialect,
    Reaction,
    Request,
    Server,
    audio_frame,
)
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage

_PLAYED = 0.5  # s of silence in each utterance of these sessions


class CorrectServer:
    """Shows how a correct server of a dialect reacts.

    The methods use new sessions only, so they change no session of the fake server.
    Each method raises LookupError if the fake server has no dialect.
    """

    def __init__(self, dialect: Dialect | None, models: Sequence[str]) -> None:
        self._dialect = dialect
        self._models = tuple(models)
        self._played = 0  # utterances so far, for distinct session ids

    def new(self) -> Server:
        """Return the server's side of a new session."""
        request = Request.of(f"?{self._client().query}", {})
        return self._known().server(self._models, request=request)

    def set_up_frames(self) -> Sequence[Frame]:
        """Return the frames with which a client sets a session up."""
        return self._client().configure()

    @property
    def rate(self) -> int:
        """The sample rate, in Hz, of a session that is set up without options."""
        return self._set_up().rate

    def begins(self, frame: Frame) -> bool:
        """Return whether a frame begins an utterance in a session that is set up."""
        return self._set_up().hear(frame).begin

    def finishes(self, frame: Frame) -> bool:
        """Return whether a frame completes the audio of an open utterance."""
        return self.in_utterance(frame).finish

    def in_utterance(self, frame: Frame) -> Reaction:
        """Return the reaction to a frame in the middle of an utterance."""
        return self._hearing().hear(frame)

    def audio(self, frame: Frame) -> bytes:
        """Return the PCM in a frame; it is empty for a frame without audio."""
        return self._set_up().hear(frame).audio

    def partial(self, text: str) -> Sequence[Frame]:
        """Return the frames that send ``text`` as a partial of an utterance."""
        return tuple(self._hearing().partial(text, 0))

    def utterance(self, text: str) -> tuple[Sequence[Frame], Sequence[Frame]]:
        """Return the frames that a server sends at the end of an utterance.

        The first sequence has the replies to the client's commit. The second has the
        frames of the final with this ``text``. The ids in the frames do not belong to a
        session of the fake server.
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
        """Return the server's side of a new session, in the middle of an utterance."""
        server, client = self._set_up(), self._client()
        self._played += 1
        tuple(server.open(f"played-{self._played}", 0))
        for frame in client.begin():
            server.hear(frame)
        audio = audio_frame(client, bytes(2 * round(_PLAYED * client.rate)))
        server.hear(audio)
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
            raise LookupError(
                "this fault needs a dialect; pass a ServerState that has a dialect"
            )
        return self._dialect
