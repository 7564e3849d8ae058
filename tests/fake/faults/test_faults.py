"""The faults of the fake server: each is seen, and none on a correct server.

Client and server run in one event loop.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from pytest_realtime_asr import dialects
from pytest_realtime_asr.fake.faults import FAULTS, network
from pytest_realtime_asr.fake.faults import limits as limits_on_load
from pytest_realtime_asr.fake.faults.limits import CAP, QUEUE
from pytest_realtime_asr.fake.process import FakeServer
from tests.fake.faults.test_answers import SHOWS as OF_ANSWERS
from tests.fake.faults.test_drain import NAMES as OF_DRAIN
from tests.fake.faults.test_items import CHECKS as OF_ITEMS
from tests.fake.faults.test_lateness import NAMES as OF_LATENESS
from tests.fake.faults.test_memory import NAMES as OF_MEMORY
from tests.fake.faults.test_misreading import NAMES as MISREADING
from tests.fake.faults.test_segments import CHECKS as OF_SEGMENTS
from tests.fake.faults.test_settled_text import NAMES as OF_SETTLED_TEXT
from tests.fake.faults.test_word_times import NAMES as OF_WORD_TIMES
from tests.fake.test_server import CHECKS as OF_SPEECH
from tests.support.letters import (
    BRIEF,
    COMMIT,
    FINAL,
    LONG,
    RATE,
    TEN,
    UPDATE,
    WORD,
    Frame,
    Place,
    append,
    audio_of,
    place,
    reset,
)

# Refusals

UNKNOWN: Frame = {"type": "no.such"}
KEY = "the-key"
DEEP = f'{{"type":"no.such","a":{"[" * 2000}{"]" * 2000}}}'


async def closes_on_binary(place: Place) -> bool:
    talk = await place.raw(b"\0\1")
    return talk.closed == 1011 and not talk.codes


async def closes_on_error(place: Place) -> bool:
    talk = await place.raw(UNKNOWN)
    assert talk.codes == ["unknown_event"]
    return talk.closed is not None


async def shows_a_traceback(place: Place) -> bool:
    talk = await place.raw(UNKNOWN)
    return "Traceback (most recent call last)" in talk.all("error")[0]["error"]


async def gives_no_code(place: Place) -> bool:
    return (await place.raw(UNKNOWN)).codes == [None]


async def ends_with_the_key(place: Place) -> bool:
    headers = {"Authorization": f"Bearer {KEY}"}
    talk = await place.open(additional_headers=headers)
    return await talk.utter("a b") == f"a b {KEY}"


async def has_one_code(place: Place) -> bool:
    return (await place.raw(UNKNOWN, "{")).codes == ["server_error", "server_error"]


async def takes_any_model(place: Place) -> bool:
    update = {**UPDATE, "model": "no-such-model"}
    talk = await place.raw(update, COMMIT, configured=False)
    return talk.codes == [] and await talk.finish(within=BRIEF) == ""


async def does_what_it_refused(place: Place) -> bool:
    talk = await place.raw(COMMIT, append(audio_of("a b")), configured=False)
    assert talk.codes == ["model_not_validated"]
    return await talk.finish(within=BRIEF) == "a b"


async def forgets_its_set_up(place: Place) -> bool:
    talk = await place.open()
    assert await talk.utter("a b") == "a b"
    await (await talk.send(COMMIT)).rest()
    return talk.codes == ["model_not_validated"]


async def ends_at_bad_audio(place: Place) -> bool:
    talk = await place.open()
    await talk.send(COMMIT, append(audio_of("a b")), append(b"\0"))
    assert await talk.hear("error")
    await talk.send_audio(audio_of("c d"))
    lost = await talk.finish(within=BRIEF) != "a b c d"
    assert await talk.utter("e f") == "e f"  # the session goes on
    return lost


async def closes_on_deep(place: Place) -> bool:
    talk = await place.raw(DEEP)
    return talk.closed == 1011 and not talk.codes


async def closes_on_surrogate(place: Place) -> bool:
    assert (await place.raw('{"type":"\\ud83d\\ude00"}')).closed is None
    talk = await place.raw('{"type":"\\ud800"}')
    return talk.closed == 1011 and not talk.codes


# The start of a session


async def has_one_id(place: Place) -> bool:
    talks = [await place.open() for _ in range(2)]
    return len({talk.frames[0]["id"] for talk in talks}) == 1


async def is_of_1970(place: Place) -> bool:
    created = (await place.open()).frames[0]["created"]
    return bool(created < time.time() - 100)


async def acknowledges(place: Place) -> bool:
    talk = await place.raw()
    assert not talk.codes
    return len(talk.all("session.updated")) == 1


# Partials and finals


async def sends_text_first(place: Place) -> bool:
    talk = await (await place.open(configured=False)).rest()
    return talk.deltas == ["so"]


async def sends_text_early(place: Place) -> bool:
    talk = await place.raw(COMMIT)
    early = bool(talk.deltas)
    await talk.send_audio(audio_of("a b"))
    assert await talk.finish() == "".join(talk.deltas)
    return early


async def sends_a_dot(place: Place) -> bool:
    talk = await place.open()
    final = await talk.utter("a b")
    assert final == "".join(talk.deltas)
    return talk.deltas[0] == "."


async def sends_its_final_first(place: Place) -> bool:
    talk = await place.raw(COMMIT, append(audio_of("a")), append(audio_of("b")))
    return [frame["type"] for frame in talk.frames[1:]] == ["transcription.done"]


def sends(text: str, *, of: str) -> Callable[[Place], Awaitable[bool]]:
    """Return a check: partials and final have ``text`` for the audio of ``of``."""

    async def check(place: Place) -> bool:
        talk = await place.open()
        final = await talk.utter(of)
        assert final is not None
        assert "".join(talk.deltas) == final
        usage = talk.frames[-1]["usage"]
        assert usage["completion_tokens"] == len(final.split())
        return final == text

    return check


async def babbles_in_noise(place: Place) -> bool:
    assert await place.utter("_ _") == ""  # digital silence
    talk = await place.open()
    await talk.send(COMMIT, append(np.full(WORD // 2, 33, "<i2").tobytes()))
    return await talk.finish() == "Thank you."


async def falls_behind(place: Place) -> bool:
    """The last word of 2 s would come 0.4 s later than its audio, if in time."""
    talk = await place.open()
    await talk.send(COMMIT)
    await talk.send_audio(audio_of("a " + "_ " * 18 + "b"))
    await talk.hear("transcription.delta")
    begun = time.monotonic()
    await talk.hear("transcription.delta")
    return time.monotonic() - begun > 0.3


async def counts_one_token(place: Place) -> bool:
    talk = await place.open()
    assert await talk.utter("a b c") == "a b c"
    return bool(talk.frames[-1]["usage"]["completion_tokens"] == 1)


async def counts_all_so_far(place: Place) -> bool:
    talk = await place.open()
    counts = []
    for _ in range(3):
        await talk.utter("a b c")
        counts.append(talk.frames[-1]["usage"]["completion_tokens"])
    assert counts[0] == 3
    return counts == [3, 6, 9]


async def applies_another_set_up(place: Place) -> bool:
    talk, other = await place.open(), await place.open()
    assert await talk.utter("a b") == "a b"
    await other.send({**UPDATE, "language": "de"})
    await other.utter("a b")
    changed = await talk.utter("a b") != "a b"
    await other.link.close()
    await talk.rest()
    assert await talk.utter("a b") == "a b"
    return changed


async def sends_no_usage(place: Place) -> bool:
    talk = await place.open()
    await talk.utter("a b")
    return "usage" not in talk.frames[-1]


async def leaves_a_count_out(place: Place) -> bool:
    talk = await place.open()
    await talk.utter("a b")
    return set(talk.frames[-1]["usage"]) == {"completion_tokens", "total_tokens"}


async def counts_nan(place: Place) -> bool:
    talk = await place.open()
    await talk.utter("a b")
    return str(talk.frames[-1]["usage"]["total_tokens"]) == "nan"


async def greets_by_half(place: Place) -> bool:
    talk = await place.open()
    return set(talk.frames[0]) == {"type", "id"}


async def greets_never(place: Place) -> bool:
    talk = await place.open()
    await talk.utter("a b")
    return not talk.all("session.created")


async def refuses_its_set_up_late(place: Place) -> bool:
    talk = await place.raw("{")
    return talk.codes == ["unknown_event", "invalid_json"]


async def refuses_its_set_up(place: Place) -> bool:
    talk = await place.raw(COMMIT)
    return talk.codes == ["unknown_event", "model_not_validated"]


async def counts_nothing(place: Place) -> bool:
    talk = await place.open()
    assert await talk.utter("a b") == "a b"
    usage = talk.frames[-1]["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] == usage["total_tokens"]
    return bool(usage["completion_tokens"] == 0)


async def sends_all_at_the_end(place: Place) -> bool:
    talk = await place.raw(COMMIT, append(audio_of("a b c")))
    before = list(talk.deltas)
    assert await talk.finish() == "a b c"
    return not before and talk.deltas == ["a b c"]


async def repeats_its_first(place: Place) -> bool:
    talk = await place.open()
    assert await talk.utter("a b c") == "a b c"
    seen = len(talk.deltas)
    second = await talk.utter("d e")
    assert "".join(talk.deltas[seen:]) == second
    assert await talk.utter("f") == "f"
    return second == "a b c"


async def forgets_what_is_old(place: Place) -> bool:
    text = "a b c " + "_ " * 250 + "d e"
    final = await place.utter(text, chunk=0.5)
    return final == "d e"


def hears(
    kept: str, *, of: str, chunk: float = 0.1
) -> Callable[[Place], Awaitable[bool]]:
    """Return a check that an utterance of some letters has only these in its final."""

    async def check(place: Place) -> bool:
        talk = await place.open()
        # A second utterance of the session loses the same.
        return {await talk.utter(of, chunk=chunk) for _ in range(2)} == {kept}

    return check


async def starts_with_a_question_mark(place: Place) -> bool:
    talk = await place.open()
    assert await talk.utter("a b") == "a b"
    return await talk.utter("c d") == "? c d"


# Where one utterance touches the next


async def keeps_a_final(place: Place) -> bool:
    talk = await place.open()
    await talk.send(FINAL)
    return await talk.utter("a b") == ""


async def ignores_what_was_not_begun(place: Place) -> bool:
    talk = await place.raw(append(audio_of("a")), FINAL)
    refused = bool(talk.codes)
    assert await talk.utter("b") == "a b"
    return not refused


async def ignores_an_early_begin(place: Place) -> bool:
    talk = await place.open()
    await talk.send(COMMIT)
    await talk.send_audio(audio_of("a"))
    await talk.send(FINAL, COMMIT)
    assert await talk.hear("transcription.done")
    return not talk.codes


async def keeps_late_audio(place: Place) -> bool:
    talk = await place.open()
    await talk.send(COMMIT)
    await talk.send_audio(audio_of("a"))
    await talk.send(FINAL, append(audio_of("b")))
    done = await talk.hear("transcription.done")
    assert done is not None
    assert done["text"] == "a"
    return await talk.utter("c d") == "b c d"


async def restarts(place: Place) -> bool:
    talk = await place.open()
    await talk.send(COMMIT)
    await talk.send_audio(audio_of("a b"))
    await talk.send(COMMIT)
    await talk.send_audio(audio_of("c d"))
    return await talk.finish() == "c d"


# Audio

ALL, HALF = "a b c d e f", "b d f"


def loses(
    hit: dict[str, float], plain: dict[str, float] | None = None
) -> Callable[[Place], Awaitable[bool]]:
    """Return a check: half of a text is lost if it is sent in the first way."""

    async def check(place: Place) -> bool:
        assert await place.utter(ALL, **(plain or {})) == ALL
        talk = await place.open()
        final = await talk.utter(ALL, **hit)
        assert "".join(talk.deltas) == final
        assert final in (ALL, HALF)
        return final == HALF

    return check


async def loses_again(place: Place) -> bool:
    for _ in range(2):
        talk = await place.open()
        assert await talk.utter(ALL) == ALL
    return await talk.utter(ALL) == HALF


async def loses_at_first(place: Place) -> bool:
    first = await place.open()
    assert await place.utter(ALL) == ALL
    return await first.utter(ALL) == HALF


def withholds(
    hit: str, *plain: str, chunk: float = 0.5
) -> Callable[[Place], Awaitable[bool]]:
    """Return a check: the first text has no final, the others have one."""

    async def check(place: Place) -> bool:
        for text in plain:
            assert await place.utter(text, chunk=chunk) == " ".join(
                letter for letter in text.split() if letter != "_"
            )
        return await place.utter(hit, chunk=chunk, within=2 * BRIEF) is None

    return check


async def loses_some(place: Place) -> bool:
    texts = await asyncio.gather(*(place.utter("a", within=LONG) for _ in range(30)))
    assert set(texts) <= {"a", None}
    return texts.count(None) == 4  # the 14th, 16th, 19th and 24th


async def withholds_after_pause(place: Place) -> bool:
    talk = await place.open()
    await talk.send(COMMIT)
    await talk.send_audio(audio_of("a"))
    await asyncio.sleep(2.1)
    await talk.send_audio(audio_of("b"))
    final = await talk.finish(within=BRIEF)
    assert await place.utter("a b", pace=1) == "a b"
    return final is None


# Several sessions


async def mixes_texts(place: Place) -> bool:
    one, two = [await place.open() for _ in range(2)]
    assert await two.utter("a b") == "a b"  # alone
    await one.send(COMMIT)
    await two.send(COMMIT)
    await one.send_audio(audio_of("c d"))
    await one.rest()
    await two.send_audio(audio_of("e f"))
    assert await one.finish() == "c d"
    seen = len(one.deltas)
    final = await two.finish()
    assert "".join(two.deltas) == f"a b{final}"
    assert await one.utter("a") == "a"
    assert len(one.deltas) == seen + 1
    return final == "c d"


async def mixes_a_tenth_text(place: Place) -> bool:
    one, two = [await place.open() for _ in range(2)]
    assert await two.utter("a b") == "a b"  # alone
    await one.send(COMMIT)
    await one.send_audio(audio_of("c d"))
    await one.hear("transcription.delta")
    texts = [await two.utter("a b") for _ in range(11)]
    assert texts[:9] == ["a b"] * 9
    assert texts[10] == "a b"
    assert await one.finish() == "c d"
    return texts[9] == "c d"


async def fails_its_50th_session(place: Place) -> bool:
    finals: list[str | None] = []
    for _ in range(51):
        talk = await place.open()
        finals.append(await talk.utter("a b"))
        code = talk.closed
        await talk.link.close()
        assert code == (None if finals[-1] else 1011)
    assert finals[:49] == ["a b"] * 49
    assert finals[50] == "a b"
    return finals[49] is None


async def silences_the_third(place: Place) -> bool:
    one, _, three = [await place.open() for _ in range(3)]
    assert await one.utter("a b") == "a b"
    await three.utter("a b", within=BRIEF)
    four = await place.open()
    assert await four.utter("a b") == "a b"
    return not three.deltas


async def stalls_after_reset(place: Place) -> bool:
    talk, other = await place.open(), await place.open()
    assert await talk.utter("a b") == "a b"
    await other.link.close()
    assert await talk.utter("a b") == "a b"  # a close is no reset
    reset(await place.open())
    await asyncio.sleep(0.05)
    later = await place.open()
    texts = [await each.utter("a b", within=BRIEF) for each in (talk, later)]
    return texts == [None, None]


async def waits_for_the_slowest(place: Place) -> bool:
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.connect(("127.0.0.1", place.port))
    narrow.setblocking(False)
    deaf = await place.open(sock=narrow)
    deaf.link.transport.pause_reading()
    # Each answer repeats the type, until all buffers on the way are full.
    flood = [{"type": "x" * 400_000}] * 40
    sending = asyncio.create_task(deaf.send(*flood))
    await asyncio.sleep(0.5)
    talk = await place.open()
    final = await talk.utter("a b", within=2 * BRIEF)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    return final is None


# The network and the process


async def answers_no_ping(place: Place) -> bool:
    talk = await place.open()
    pong = await talk.link.ping()
    done, _ = await asyncio.wait([asyncio.ensure_future(pong)], timeout=BRIEF)
    assert await talk.utter("a b") == "a b"
    return not done


async def answers_no_close(place: Place) -> bool:
    talk = await place.open()
    await talk.link.close()
    return talk.link.close_code != 1000


async def closes_on_fragments(place: Place) -> bool:
    talk = await place.open()
    await talk.link.send(['{"type":', '"no.', 'such"}'])
    await talk.rest()
    return talk.closed == 1003 and not talk.codes


async def closes_when_idle(place: Place) -> bool:
    talk = await place.open()
    await asyncio.sleep(2 * BRIEF)
    await talk.rest()
    return talk.closed == 1011 and not talk.codes


async def ends_when_idle(place: Place) -> bool:
    talk = await place.open()
    await asyncio.sleep(2 * BRIEF)
    await talk.rest()
    return talk.closed == 1011 and talk.codes == ["idle_timeout"]


async def refuses_waiting_audio(place: Place) -> bool:
    talk = await place.open()
    await talk.send(*[append(bytes(2))] * (QUEUE + 2))
    refused = await talk.hear("error") is not None
    await talk.send(COMMIT, FINAL)
    assert await talk.hear("transcription.done")
    assert await talk.utter("a b") == "a b"  # the queue is empty again
    return refused and talk.codes == ["buffer_full"] * 2


async def accepts(place: Place, **given: Any) -> bool:
    try:
        return bool((await place.open(**given)).frames)
    except InvalidStatus:
        return False


async def takes_any_path(place: Place) -> bool:
    assert await accepts(place)
    assert (await place.get("/v1/other"))[0] == 404
    return await accepts(place, path="/v1/other")


async def shows_a_crash(place: Place) -> bool:
    status, body = await place.get("/v1/realtime")
    assert await accepts(place)
    return status == 500 and "Traceback (most recent call last)" in body


async def limits(place: Place) -> bool:
    refused = []
    for _ in range(4):
        try:
            await place.open()
        except InvalidStatus as error:
            answer = error.response
            refused.append((answer.status_code, answer.headers["Retry-After"]))
    return refused == [(429, "1"), (429, "1")]


async def counts_for_ever(place: Place) -> bool:
    for _ in range(2):
        talk = await place.open()
        assert await place.metric("vllm:websocket_connections_active") >= 1
        await talk.link.close()
    await asyncio.sleep(0.05)
    assert await place.metric("vllm:websocket_connections_total") == 2
    return await place.metric("vllm:websocket_connections_active") == 2


async def seems_restarted(place: Place) -> bool:
    before = await place.metric("process_start_time_seconds")
    await (await place.open()).link.close()
    assert await place.metric("process_start_time_seconds") == before
    reset(await place.open())
    await asyncio.sleep(0.05)
    return await place.metric("process_start_time_seconds") > before


# Limits of sessions, and a server that is not warm


async def holds(place: Place) -> int:
    """Return how many of six sessions are greeted."""
    greeted = 0
    for _ in range(6):
        try:
            talk = await place.open(configured=False)
        except InvalidStatus:
            continue
        greeted += bool(talk.all("session.created"))
    return greeted


async def holds_four(place: Place) -> bool:
    return await holds(place) == CAP


async def holds_one(place: Place) -> bool:
    return await holds(place) == 1


async def lists_another_model_first(place: Place) -> bool:
    _, body = await place.get("/v1/models")
    names = [each["id"] for each in json.loads(body)["data"]]
    other = await place.raw({**UPDATE, "model": "language-model"}, configured=False)
    assert other.codes == ["model_not_found"]
    return names == ["language-model", "fake"]


async def greets_strangely(place: Place) -> bool:
    talk = await place.open(configured=False)
    return [frame["type"] for frame in talk.frames] == ["session.ready"]


async def greets_late(place: Place) -> bool:
    talk = await place.open(configured=False)  # which waits for a short time
    late = not talk.frames
    assert await talk.hear("session.created") or not late
    assert (await place.open()).frames  # the second session is in time
    return late


async def ends_late(place: Place) -> bool:
    late = await place.utter("a b", within=BRIEF) is None
    assert await place.utter("a b", within=BRIEF) == "a b"
    return late


SHOWS: dict[str, Callable[[Place], Awaitable[bool]]] = {
    "silent-close": closes_on_binary,
    "closes-on-error": closes_on_error,
    "stack-trace": shows_a_traceback,
    "codeless": gives_no_code,
    "shows-key-in-texts": ends_with_the_key,
    "wrong-codes": has_one_code,
    "accepts-any-model": takes_any_model,
    "starts-anyway": does_what_it_refused,
    "forgets-model": forgets_its_set_up,
    "refused-audio-ends": ends_at_bad_audio,
    "deep-dies": closes_on_deep,
    "surrogate-dies": closes_on_surrogate,
    "same-id": has_one_id,
    "old-clock": is_of_1970,
    "acknowledges": acknowledges,
    "early-text": sends_text_early,
    "speaks-first": sends_text_first,
    "dot-first": sends_a_dot,
    "final-first": sends_its_final_first,
    "tokens-shown": sends("language English<asr_text>a b", of="a b"),
    "vocabulary-shown": sends("\u2581a \u2581b", of="a b"),
    "unknown-words": sends("a <unk> c", of="a b c"),
    "labels-sounds": sends("a b [Music]", of="a b"),
    "control-characters": sends("a\0 b", of="a b"),
    "unpaired-directions": sends("\u202ea b", of="a b"),
    "babbles-in-noise": babbles_in_noise,
    "falls-behind": falls_behind,
    "one-token": counts_one_token,
    "usage-so-far": counts_all_so_far,
    "shares-setup": applies_another_set_up,
    "broken-characters": sends("\ufffd b", of="a b"),
    "no-usage": sends_no_usage,
    "half-usage": leaves_a_count_out,
    "nan-usage": counts_nan,
    "half-greeting": greets_by_half,
    "no-greeting": greets_never,
    "refuses-setup": refuses_its_set_up,
    "late-setup-error": refuses_its_set_up_late,
    "free-tokens": counts_nothing,
    "all-at-end": sends_all_at_the_end,
    "stutters": sends("a b a b a b", of="a b"),
    "babbles-in-silence": sends("Thank you.", of="_"),
    "loses-head": sends("b c", of="a b c"),
    "loses-tail": sends("a b", of="a b c"),
    "repeats-first": repeats_its_first,
    "forgets-old": forgets_what_is_old,
    "loses-first-200ms": hears("c d e f g h i j", of=TEN),
    "loses-first-400ms": hears("e f g h i j", of=TEN),
    "loses-first-800ms": hears("i j", of=TEN),
    "loses-last-200ms": hears("a b c d e f g h", of=TEN),
    "loses-last-400ms": hears("a b c d e f", of=TEN),
    "loses-last-800ms": hears("a b", of=TEN),
    "loses-rest-of-20ms": hears("a a a a", of="a a a a a a", chunk=0.03),
    "loses-rest-of-40ms": hears("a a a a", of="a a a a a"),
    "loses-rest-of-80ms": hears("a a a a", of="a a a a a"),
    "stops-after-5s": hears(49 * "a " + "a", of=60 * "a "),
    "stops-after-10s": hears(99 * "a " + "a", of=110 * "a "),
    "stops-after-30s": hears(299 * "a " + "a", of=310 * "a "),
    "hole-of-2s": hears(40 * "a " + 9 * "b " + "b", of=40 * "a " + 30 * "b "),
    "doubles-words": sends(40 * "a " + "a c", of=40 * "a " + "b c"),
    "unbegun-ignored": ignores_what_was_not_begun,
    "early-begin-ignored": ignores_an_early_begin,
    "late-question-mark": starts_with_a_question_mark,
    "stale-final": keeps_a_final,
    "late-audio-kept": keeps_late_audio,
    "restarts-on-begin": restarts,
    "small-chunks-lose": loses({"chunk": 0.04}, {"chunk": 0.06}),
    "big-chunks-lose": loses({"chunk": 0.51}, {"chunk": 0.5}),
    "fast-loses": loses({}, {"pace": 1}),
    "quiet-loses": loses({"gain": 0.5}),
    "silence-loses": loses({"lead": 1.1}, {"lead": 0.9}),
    "again-loses": loses_again,
    "first-session-loses": loses_at_first,
    "loses-one-in-ten": loses_some,
    "no-final-after-1s": withholds("a " * 10, "a " * 9),
    "no-final-short": withholds("a a", "a a a", ""),
    "no-final-empty": withholds("", "a"),
    "no-final-long": withholds("_ " * 201, "a " * 199),
    "no-final-after-pause": withholds_after_pause,
    "no-final-after-silence": withholds("a " + "_ " * 31, "a " + "_ " * 29 + "a " * 20),
    "cross-talk": mixes_texts,
    "mixes-one-in-ten": mixes_a_tenth_text,
    "fails-50th-session": fails_its_50th_session,
    "third-is-silent": silences_the_third,
    "stalls-of-reset": stalls_after_reset,
    "slow-reader-stalls": waits_for_the_slowest,
    "no-pong": answers_no_ping,
    "no-close-answer": answers_no_close,
    "no-fragments": closes_on_fragments,
    "idle-kills": closes_when_idle,
    "ends-idle": ends_when_idle,
    "caps-queue": refuses_waiting_audio,
    "any-path": takes_any_path,
    "any-key": accepts,
    "crash-page": shows_a_crash,
    "limits": limits,
    "leaks": counts_for_ever,
    "restarts": seems_restarted,
    "caps-by-error": holds_four,
    "caps-by-close": holds_four,
    "caps-by-429": holds_four,
    "caps-by-503": holds_four,
    "one-session": holds_one,
    "lists-llm-first": lists_another_model_first,
    "strange-greeting": greets_strangely,
    "cold-greeting": greets_late,
    "cold-final": ends_late,
}
GIVEN: dict[str, dict[str, Any]] = {
    "any-key": {"key": "a key of a server"},
    "shows-key-in-texts": {"key": KEY},
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOWS)
def test_fault(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "IDLE", BRIEF)
    monkeypatch.setattr(limits_on_load, "IDLE", BRIEF)

    async def shown(*faults: str) -> bool:
        async with place(*faults, **GIVEN.get(name, {})) as it:
            return await SHOWS[name](it)

    async def both() -> tuple[bool, bool]:
        broken, correct = await asyncio.gather(shown(name), shown())
        return broken, correct

    assert asyncio.run(both()) == (True, False)


# Faults that end the process


def dies(*faults: str, talk: Callable[[Place], Awaitable[object]]) -> bool:
    async def run(port: int) -> None:
        it = Place(port)
        with suppress(ConnectionClosed):
            await talk(it)
        await it.leave()

    arguments = [word for name in faults for word in ("--fault", name)]
    with FakeServer([*arguments, "--corpus", "bundled:odd"]) as fake:
        asyncio.run(run(int(fake.url.rpartition(":")[2])))
        deadline = time.monotonic() + (LONG if faults else BRIEF)
        while fake._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        return fake._process.poll() == 70


async def resets(place: Place) -> None:
    update = {**UPDATE, "model": "scripted"}
    idle, busy = [await place.open(configured=False) for _ in range(2)]
    reset(idle)
    await busy.send(update, COMMIT)
    await busy.rest()  # the server lives: no utterance was open
    reset(busy)


async def sends_no_audio(place: Place) -> None:
    update = {**UPDATE, "model": "scripted"}
    await place.raw(update, COMMIT, FINAL, configured=False)


async def floods(place: Place) -> None:
    talk = await place.open(configured=False)
    for _ in range(9):
        await talk.send(append(bytes(2**20)))
    await talk.rest()


async def sends_a_huge_frame(place: Place) -> None:
    await place.raw(f'{{"type":"no.such","a":"{"a" * 2**22}"}}', configured=False)


DEADLY: dict[str, Callable[[Place], Awaitable[None]]] = {
    "dies-of-reset": resets,
    "dies-of-empty": sends_no_audio,
    "flood-dies": floods,
    "big-frame-dies": sends_a_huge_frame,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", DEADLY)
def test_a_deadly_fault_ends_the_server(name: str) -> None:
    assert dies(name, talk=DEADLY[name])


@pytest.mark.slow
def test_a_correct_server_never_dies() -> None:
    async def everything(place: Place) -> None:
        for talk in DEADLY.values():
            await talk(place)

    assert not dies(talk=everything)


# All of them


def test_every_fault_is_shown() -> None:
    proven = {
        fault
        for name in dialects.installed()
        for each in (name, *(f"{name}:{p}" for p in dialects.load(name).profiles))
        for requirement in dialects.load(each).requirements
        if requirement.proof is not None
        for fault in requirement.proof.faults
    }
    shown = {*OF_SPEECH, "deaf", "die", *SHOWS, *DEADLY, *OF_ITEMS, *MISREADING}
    shown |= {*OF_LATENESS, *OF_MEMORY, *OF_DRAIN, *OF_SEGMENTS}
    shown |= {*OF_SETTLED_TEXT, *OF_WORD_TIMES, *OF_ANSWERS}
    assert shown | proven == set(FAULTS)
    assert all(name == fault.name and fault.about for name, fault in FAULTS.items())


def test_a_close_frame_is_answered_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(network, "ANSWERED", 0.1)

    async def close() -> tuple[float, int | None]:
        async with place("no-close-answer") as it:
            talk = await it.open()
            begun = time.monotonic()
            await talk.link.close()
            return time.monotonic() - begun, talk.link.close_code

    took, code = asyncio.run(close())
    assert took >= 0.1
    assert code == 1000


def test_closing_takes_no_longer_after_a_burst_of_audio() -> None:
    async def last(*faults: str) -> float:
        """Return how long a session with a burst of audio takes, in s."""
        async with place(*faults) as it:
            begun = time.monotonic()
            talk = await it.open(close_timeout=20)
            with suppress(ConnectionClosed):
                await talk.send(COMMIT)
                await talk.send_audio(bytes(2 * 60 * RATE))
            if not faults:
                assert await talk.finish() == ""
                await talk.link.close()
            await talk.link.wait_closed()
            assert talk.link.close_code == (1011 if faults else 1000)
            return time.monotonic() - begun

    correct, faulty = asyncio.run(last()), asyncio.run(last("close"))
    assert faulty < correct + 3  # an unanswered close frame costs 10 s
