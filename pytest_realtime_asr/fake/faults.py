"""What can be wrong with a server: each fault wraps the server's half of a dialect.

A fault is a function from one sound machine to one that misbehaves in one way, so that
every dialect has every fault, and each check can be shown to trip on the one it is for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.timeline import Usage


class _Wrapped:
    """A machine that does what the wrapped one does."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def open(self, session: str, created: int) -> Iterable[str]:
        return self._server.open(session, created)

    def hear(self, frame: str | bytes) -> Reaction:
        return self._server.hear(frame)

    def partial(self, added: str) -> Iterable[str]:
        return self._server.partial(added)

    def final(self, text: str, usage: Usage) -> Iterable[str]:
        return self._server.final(text, usage)


class _Mute(_Wrapped):
    def open(self, session: str, created: int) -> Iterable[str]:
        return ()

    def hear(self, frame: str | bytes) -> Reaction:
        return Reaction()


class _Nameless(_Wrapped):
    def open(self, session: str, created: int) -> Iterable[str]:
        return self._server.open("", created)


class _Twice(_Wrapped):
    def open(self, session: str, created: int) -> Iterable[str]:
        yield from self._server.open(session, created)
        yield from self._server.open(session, created)


class _Tolerant(_Wrapped):
    """Ignores what it should refuse."""

    def hear(self, frame: str | bytes) -> Reaction:
        return replace(self._server.hear(frame), replies=())


class _Lossy(_Wrapped):
    """Loses the first piece of text of each utterance on its way out."""

    _lost = False

    def partial(self, added: str) -> Iterable[str]:
        frames = self._server.partial(added)
        if self._lost:
            return frames
        self._lost = True
        return ()

    def final(self, text: str, usage: Usage) -> Iterable[str]:
        self._lost = False
        return self._server.final(text, usage)


class _Doubled(_Wrapped):
    def final(self, text: str, usage: Usage) -> Iterable[str]:
        frames = tuple(self._server.final(text, usage))
        return frames + frames


class _Endless(_Wrapped):
    def final(self, text: str, usage: Usage) -> Iterable[str]:
        return ()


class _Late(_Wrapped):
    """Goes on with the text after it was said to be final."""

    def final(self, text: str, usage: Usage) -> Iterable[str]:
        yield from self._server.final(text, usage)
        yield from self._server.partial(" again")


class _Greedy(_Wrapped):
    """Counts tokens that it did not speak."""

    def final(self, text: str, usage: Usage) -> Iterable[str]:
        spent = replace(usage, prompt=-1)
        return self._server.final(text, spent)


class _Echo(_Wrapped):
    """Begins each text with that of the utterance before."""

    _before = ""
    _said = False

    def partial(self, added: str) -> Iterable[str]:
        if self._before and not self._said:
            self._said = True
            added = f"{self._before} {added}"
        return self._server.partial(added)

    def final(self, text: str, usage: Usage) -> Iterable[str]:
        whole = f"{self._before} {text}" if self._said else text
        self._before, self._said = text, False
        return self._server.final(whole, usage)


class _Babble(_Wrapped):
    """Sends what is no JSON with each piece of text."""

    def partial(self, added: str) -> Iterable[str]:
        yield "this is {no JSON"
        yield from self._server.partial(added)


class _Novel(_Wrapped):
    """Sends an event that no protocol knows with each piece of text."""

    def partial(self, added: str) -> Iterable[str]:
        yield '{"type":"novelty.event"}'
        yield from self._server.partial(added)


class _Flood(_Wrapped):
    """Answers the first audio with more text than anyone can want."""

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        return replace(reaction, replies=self._pour()) if reaction.audio else reaction

    def _pour(self) -> Iterator[str]:
        for _ in range(20_000):
            yield from self._server.partial("and ")


class _OnAudio(_Wrapped):
    """Does something of its own when the fifth frame of audio has come."""

    def __init__(self, server: Server, **change: object) -> None:
        super().__init__(server)
        self._change = change
        self._frames = 0

    def hear(self, frame: str | bytes) -> Reaction:
        reaction = self._server.hear(frame)
        self._frames += bool(reaction.audio)
        if reaction.audio and self._frames == 5:
            return replace(reaction, **self._change)  # type: ignore[arg-type]
        return reaction


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to be broken; ``about`` completes the sentence "a server that ..."."""

    name: str
    about: str
    wrap: Callable[[Server], Server]


def _on_audio(**change: object) -> Callable[[Server], Server]:
    return lambda server: _OnAudio(server, **change)


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        Fault("mute", "says nothing at all", _Mute),
        Fault("nameless", "gives the session an empty id", _Nameless),
        Fault("created-twice", "creates the session twice", _Twice),
        Fault("tolerant", "ignores what it should refuse", _Tolerant),
        Fault("lost-delta", "loses the first piece of each text", _Lossy),
        Fault("two-finals", "sends each final twice", _Doubled),
        Fault("no-final", "never sends a final", _Endless),
        Fault("late-delta", "goes on after the final", _Late),
        Fault("bad-usage", "counts tokens wrongly", _Greedy),
        Fault("echo", "begins a text with that of the utterance before", _Echo),
        Fault("no-json", "sends text that is no JSON", _Babble),
        Fault("novelty", "sends events that no protocol knows", _Novel),
        Fault("flood", "floods its client with text", _Flood),
        Fault("close", "closes in mid-utterance", _on_audio(close=1011)),
        Fault("reset", "drops the connection in mid-utterance", _on_audio(close=0)),
        Fault("deaf", "stops reading for three seconds", _on_audio(pause=3.0)),
        Fault("die", "dies in mid-utterance", _on_audio(die=True)),
    )
}


def wrap(server: Server, faults: Iterable[str]) -> Server:
    """The server with these faults; ``LookupError`` names the ones there are."""
    for name in faults:
        if name not in FAULTS:
            known = ", ".join(FAULTS)
            raise LookupError(f"unknown fault {name!r}; there are: {known}")
        server = FAULTS[name].wrap(server)
    return server
