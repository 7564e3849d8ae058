"""Faults in the text of partials and finals, or in the time at which they are sent."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace

from pytest_realtime_asr.dialects import Reaction, Server
from pytest_realtime_asr.fake.faults.client_frames import is_control, was_ignored
from pytest_realtime_asr.fake.faults.registry import Hooks, Needs, fault
from pytest_realtime_asr.fake.frame_edits import Event, edited, event
from pytest_realtime_asr.fake.server_state import ServerState
from pytest_realtime_asr.fake.server_wrappers import (
    ServerWrapper,
    UtteranceTracker,
    WordChanger,
)
from pytest_realtime_asr.trace.records import Frame
from pytest_realtime_asr.trace.timeline import Usage

KEPT = 25.0  # s at the end of an utterance that `forgets-old` keeps
_CONTROL_TOKENS = "language English<asr_text>"
_FLOOD = 20_000  # partials
_LOSS = 0.1  # of the finals that `loses-one-in-ten` does not send
_KEPT_FINALS = 10  # so that the suite gets its solo transcripts
_SEED = 118_000  # 14 of the finals 11 to 150 are lost
_QUIET = 655  # of 32768: -34 dBFS
_SLOW = 0.2  # s by which `falls-behind` is later for each second of audio


# How many partials and finals the server sends, and when


@fault("lost-delta", "loses the first partial of each utterance")
class LostDelta(ServerWrapper):
    """Leaves out the first partial, so that the partials do not add up to the final."""

    _lost = False

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        if self._lost:
            return self._server.partial(added, item)
        self._lost = True
        return ()

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        self._lost = False
        return self._server.final(text, usage, item)


@fault("late-delta", "sends a partial after the final", needs=Needs.FREE_TEXT)
class LateDelta(ServerWrapper):
    """Appends a word to a text that was already final."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        yield from self._server.final(text, usage, item)
        yield from self._server.partial(" again", item)


@fault("two-finals", "sends each final twice")
class TwoFinals(ServerWrapper):
    """Sends the frames of each final a second time."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        frames = tuple(self._server.final(text, usage, item))
        return frames + frames


@fault("no-final", "never sends a final")
class NoFinal(ServerWrapper):
    """Sends partials only."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return ()


@fault("loses-one-in-ten", "loses one final in ten")
class LosesOneInTen(ServerWrapper):
    """Sends no final for one utterance in ten, chosen at random with a fixed seed.

    Each of the first 10 utterances of the server gets its final.
    """

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        self._state.finals += 1
        number = self._state.finals
        lost = number > _KEPT_FINALS and random.Random(_SEED + number).random() < _LOSS
        return () if lost else self._server.final(text, usage, item)


@fault("all-at-end", "sends all text of an utterance just before its final")
class AllAtEnd(ServerWrapper):
    """Sends the whole text as one partial just before the final."""

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        return ()

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        partial = self._server.partial(text, item) if text else ()
        return [*partial, *self._server.final(text, usage, item)]


@fault("speaks-first", "sends text as soon as a session opens", needs=Needs.FREE_TEXT)
class SpeaksFirst(ServerWrapper):
    """Sends a partial as soon as a session opens, before any utterance has begun."""

    def open(self, session: str, created: int) -> Iterable[Frame]:
        opening = self._server.open(session, created)
        return [*opening, *self._state.correct.partial("so")]


@fault("early-text", "sends text before any audio has come")
class EarlyText(WordChanger):
    """Sends a word at the start of each utterance."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if not reaction.begin:
            return reaction
        early = self.send("so", self.number - 1)
        return replace(reaction, replies=[*reaction.replies, *early])


@fault("dot-first", "sends a dot as text at the first audio of an utterance")
class DotFirst(WordChanger):
    """Sends a dot as a word at the first audio of each utterance."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if self.sent or not (reaction.audio and self.is_open):
            return reaction
        dot = self.send(".", self.number - 1)
        return replace(reaction, replies=[*reaction.replies, *dot])


@fault("final-first", "sends the final of an utterance at its first audio")
class FinalFirst(UtteranceTracker):
    """Sends the final of an utterance at its first audio, and no text after it."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if not (reaction.audio and self.is_open):
            return reaction
        final = super().final("so", Usage(1, 1, seconds=0.1), self.number - 1)
        return replace(reaction, replies=[*reaction.replies, *final])

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        return self._server.partial(added, item) if self.is_open else ()

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        return super().final(text, usage, item) if self.is_open else ()


@fault("flood", "floods its client with partials", needs=Needs.FREE_TEXT)
class Flood(ServerWrapper):
    """Answers each frame of audio with 20,000 partials."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = self._server.hear(frame)
        return replace(reaction, replies=self._flood()) if reaction.audio else reaction

    def _flood(self) -> Iterator[Frame]:
        for _ in range(_FLOOD):
            yield from self._server.partial("and ", 0)


# Events that no protocol has


@fault("no-json", "sends frames that are not JSON")
class NoJson(ServerWrapper):
    """Sends a frame that is not JSON before each partial."""

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        yield "this is {no JSON"
        yield from self._server.partial(added, item)


@fault("novelty", "sends events that are not in the protocol")
class Novelty(ServerWrapper):
    """Sends an event of an unknown type, ``session.novelty``, before each partial."""

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        yield '{"type":"session.novelty"}'
        yield from self._server.partial(added, item)


# What the usage counts


@fault("bad-usage", "sends negative counts in the field usage", needs=Needs.USAGE)
class BadUsage(ServerWrapper):
    """Reports a usage of -1 prompt tokens and -1 s of audio."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        wrong = replace(usage, prompt=-1, seconds=-1.0)
        return self._server.final(text, wrong, item)


@fault("no-usage", "sends finals without a usage", needs=Needs.USAGE)
class NoUsage(ServerWrapper):
    """Leaves the field ``usage`` out of each final."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        frames = self._server.final(text, usage, item)
        return [edited(frame, _without_usage) for frame in frames]


def _without_usage(content: Event) -> None:
    content.pop("usage", None)


@fault("half-usage", "leaves a field out of the usage of each final", needs=Needs.USAGE)
class HalfUsage(ServerWrapper):
    """Leaves the first field out of the usage of each final."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        frames = self._server.final(text, usage, item)
        return [edited(frame, _with_half_usage) for frame in frames]


def _with_half_usage(content: Event) -> None:
    if counted := content.get("usage"):
        del counted[next(iter(counted))]


@fault("nan-usage", "sends NaN as a count in the field usage", needs=Needs.USAGE)
class NanUsage(ServerWrapper):
    """Replaces the last count of the usage by NaN, which JSON does not allow."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        frames = self._server.final(text, usage, item)
        return [_with_nan(frame) for frame in frames]


def _with_nan(frame: Frame) -> Frame:
    content = event(frame)
    counted = content.get("usage")
    if not counted:
        return frame
    numbers = [name for name, each in counted.items() if isinstance(each, int | float)]
    counted[numbers[-1]] = math.nan
    return json.dumps(content)


@fault("free-tokens", "reports a usage of 0 tokens for its text", needs=Needs.USAGE)
class FreeTokens(ServerWrapper):
    """Reports a usage of 0 completion tokens and 0 s of audio."""

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        free = replace(usage, completion=0, seconds=0.0)
        return self._server.final(text, free, item)


# Which words are sent


@fault("tokens-shown", "shows control tokens in its text")
class TokensShown(WordChanger):
    """Puts control tokens of a model before the first word of each text."""

    def words_for(self, word: str) -> Iterable[str]:
        return (word if self.sent else f"{_CONTROL_TOKENS}{word}",)


@fault("broken-characters", "breaks a character of each text")
class BrokenCharacters(WordChanger):
    """Replaces the first character of each text by U+FFFD."""

    def words_for(self, word: str) -> Iterable[str]:
        return (word if self.sent else f"\ufffd{word[1:]}",)


@fault("stutters", "sends each text three times")
class Stutters(WordChanger):
    """Repeats the text twice before the final; the final has all three copies."""

    def last_words(self) -> Iterable[str]:
        return 2 * self.sent.split()


@fault("babbles-in-silence", "sends words for silence")
class BabblesInSilence(WordChanger):
    """Sends two words for an utterance in which no word was recognised."""

    def last_words(self) -> Iterable[str]:
        return () if self.sent else ("Thank", "you.")


@fault("babbles-in-noise", "sends words for quiet noise")
class BabblesInNoise(WordChanger):
    """Sends two words for an utterance with only quiet sound, but none for silence."""

    def last_words(self) -> Iterable[str]:
        quiet = 0 < self.audio.peak < _QUIET
        return ("Thank", "you.") if quiet and not self.sent else ()


@fault("wordless", "sends no words for any audio")
class Wordless(WordChanger):
    """Sends finals with an empty text, and no partials."""

    def words_for(self, word: str) -> Iterable[str]:
        return ()


@fault("loses-head", "loses the first word of each utterance")
class LosesHead(WordChanger):
    """Sends the words of each utterance from the second word on."""

    _begun = False

    def reset(self) -> None:
        super().reset()
        self._begun = False

    def words_for(self, word: str) -> Iterable[str]:
        begun, self._begun = self._begun, True
        return (word,) if begun else ()


@fault(
    "loses-later-heads",
    "loses the first word of the second and each later utterance",
    needs=Needs.SEVERAL,
)
class LosesLaterHeads(LosesHead):
    """Leaves out the first word of the second and each later utterance of a session."""

    def words_for(self, word: str) -> Iterable[str]:
        return (word,) if self.number == 1 else super().words_for(word)


@fault("loses-tail", "loses the last word of each utterance")
class LosesTail(WordChanger):
    """Sends each word when the next word is recognised; never sends the last word."""

    _waiting: tuple[str, ...] = ()

    def reset(self) -> None:
        super().reset()
        self._waiting = ()

    def words_for(self, word: str) -> Iterable[str]:
        waiting, self._waiting = self._waiting, (word,)
        return waiting


@fault(
    "loses-later-tails",
    "loses the last word of the second and each later utterance",
    needs=Needs.SEVERAL,
)
class LosesLaterTails(LosesTail):
    """Leaves out the last word of the second and each later utterance of a session."""

    def words_for(self, word: str) -> Iterable[str]:
        return (word,) if self.number == 1 else super().words_for(word)


@fault("forgets-old", "keeps only the last 25 s of an utterance")
class ForgetsOld(Hooks):
    """Sends a final with only the words of the last ``KEPT`` s of the audio."""

    def keeps_word(self, kept: bool, *, age: float) -> bool:
        return kept and age < KEPT


@fault("falls-behind", "takes 1.2 s to recognise a second of audio")
class FallsBehind(Hooks):
    """Delays each word by a fifth of its position in the audio.

    The position is the time from the start of the audio to the end of the word. Finals
    are not delayed.
    """

    def word_delay(self, seconds: float, *, position: float, session: int) -> float:
        return seconds + _SLOW * position


# How one utterance changes the next


@fault(
    "echo",
    "begins each text with the text of the previous utterance",
    needs=Needs.SEVERAL,
)
class Echo(ServerWrapper):
    """Puts the text of the previous utterance before the text of each utterance."""

    _before = ""
    _repeated = False

    def partial(self, added: str, item: int) -> Iterable[Frame]:
        if self._before and not self._repeated:
            self._repeated = True
            added = f"{self._before} {added}"
        return self._server.partial(added, item)

    def final(self, text: str, usage: Usage, item: int) -> Iterable[Frame]:
        whole = f"{self._before} {text}" if self._repeated else text
        self._before, self._repeated = text, False
        return self._server.final(whole, usage, item)


@fault(
    "repeats-first",
    "repeats its first text in the second utterance",
    needs=Needs.SEVERAL,
)
class RepeatsFirst(WordChanger):
    """Sends the words of a session's first utterance again in the second utterance."""

    def __init__(self, server: Server, state: ServerState) -> None:
        super().__init__(server, state)
        self._first: list[str] = []

    def words_for(self, word: str) -> Iterable[str]:
        if self.number == 1:
            self._first.append(word)
        return self._next_of_first(1) if self.number == 2 else (word,)

    def last_words(self) -> Iterable[str]:
        return self._next_of_first(len(self._first)) if self.number == 2 else ()

    def _next_of_first(self, most: int) -> Iterable[str]:
        sent = len(self.sent.split())
        return self._first[sent : sent + most]


@fault(
    "stale-final",
    "applies a stray final commit to the next utterance",
    needs=Needs.STARTS,
)
class StaleFinal(UtteranceTracker):
    """Ends an utterance as soon as it starts if a stray final commit came before it.

    A commit is stray if no utterance is open when it comes.
    """

    _end: str | bytes | None = None

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if reaction.begin and self._end is not None:
            end, self._end = self._end, None
            self.audio.finish()
            self._server.hear(end)
            return replace(reaction, finish=True)
        if not self.is_open and self._keeps(reaction, frame):
            self._end = frame
        return reaction

    def _keeps(self, reaction: Reaction, frame: Frame) -> bool:
        return (
            is_control(frame)
            and was_ignored(reaction)
            and self._state.correct.finishes(frame)
        )


@fault("refused-final-kept", "applies a refused final commit to the next utterance")
class RefusedFinalKept(StaleFinal):
    """Ends an utterance at once if a stray or refused final commit came before it."""

    def _keeps(self, reaction: Reaction, frame: Frame) -> bool:
        return is_control(frame) and self._state.correct.finishes(frame)


@fault("refused-final-mutes", "sends no words after a stray or refused final commit")
class RefusedFinalMutes(WordChanger):
    """Sends no words of an utterance if a stray or refused commit came before it."""

    _stray = False
    _mute = False

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if not self.is_open and is_control(frame):
            self._stray |= self._state.correct.finishes(frame)
        return reaction

    def reset(self) -> None:
        super().reset()
        self._mute, self._stray = self._stray, False

    def words_for(self, word: str) -> Iterable[str]:
        return () if self._mute else (word,)


@fault(
    "late-audio-kept",
    "begins an utterance with late audio of the previous utterance",
    needs=Needs.STARTS,
)
class LateAudioKept(UtteranceTracker):
    """Keeps the late audio of an utterance, and adds it to the next utterance."""

    _kept = b""

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if self.is_open and self.audio.complete and was_ignored(reaction):
            self._kept += self._state.correct.audio(frame)
        elif reaction.audio and self._kept:
            kept, self._kept = self._kept, b""
            return replace(reaction, audio=kept + reaction.audio)
        return reaction


@fault(
    "restarts-on-begin",
    "forgets the audio of an utterance that is started twice",
    needs=Needs.STARTS,
)
class RestartsOnBegin(UtteranceTracker):
    """Drops the audio of an open utterance when the client starts it again."""

    def hear(self, frame: Frame) -> Reaction:
        reaction = super().hear(frame)
        if (
            self.is_hearing
            and is_control(frame)
            and was_ignored(reaction)
            and self._state.correct.begins(frame)
        ):
            return replace(reaction, begin=True)
        return reaction
