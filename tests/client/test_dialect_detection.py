"""The dialect of a server is detected by its first event."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import permutations

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from pytest_realtime_asr import dialects
from pytest_realtime_asr.client import dialect_detection, greetings, probe, target
from pytest_realtime_asr.client.dialect_detection import Discovery, find, ways
from pytest_realtime_asr.client.loop import Loop
from pytest_realtime_asr.client.loss import Lost
from pytest_realtime_asr.client.session import Live
from pytest_realtime_asr.client.transport import Access
from pytest_realtime_asr.dialects import Dialect
from pytest_realtime_asr.fake.faults import session
from pytest_realtime_asr.text.redaction import Redactor
from pytest_realtime_asr.trace.records import Record, Sender
from tests.client.test_greetings import MISTRAL
from tests.support.servers import (
    CREATED,
    VLLM,
    Talk,
    faking,
    plain,
    plan,
    quiet,
    serving,
)

NAME_IT = "name the dialect with --realtime-dialect=NAME"


def asked(url: str) -> list[Access]:
    """Return the requests of all dialects for a session at this URL."""

    def access(dialect: Dialect) -> Access:
        where = target.parse(url, path=dialect.path, query=dialect.caller("", {}).query)
        return Access(where, headers=dialect.headers("hush-hush"))

    return ways(access)


def found(url: str) -> Discovery:
    return asyncio.run(find(asked(url), Redactor(["hush-hush", "the-token"])))


def saying(frame: str | bytes) -> Talk:
    async def talk(connection: ServerConnection) -> None:
        await connection.send(frame)
        await connection.wait_closed()

    return talk


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "GREETING", 0.2)


def test_each_session_request_is_made_once() -> None:
    found = asked("http://h:1/?a=b")
    ways = [(a.target.url.partition("a=b")[2], len(a.headers)) for a in found]
    assert ways == [("&intent=transcription", 1), ("&intent=transcription", 2), ("", 1)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vllm", "session.created"),
        ("openai", "session.created"),
        ("openai-beta", "transcription_session.created"),
        ("sglang-omni", "session.created"),
    ],
)
def test_every_dialect_is_found_by_one_session(
    monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.setattr(probe, "GREETING", 10.0)
    with faking(dialect=dialects.load(name), key="hush-hush") as (url, fake):
        assert found(url) == Discovery(name, f"the first event was {said}")
        assert len(fake.traces()) == 1


def test_a_refused_session_request_is_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probe, "GREETING", 10.0)

    def answer(request: Request) -> Response | None:
        return plain(403) if "intent=" in request.path else None

    with serving(saying(CREATED), answer=answer) as url:
        assert found(url).dialect == "vllm"


def test_a_silent_server_gets_one_session_request() -> None:
    opened: list[str] = []

    def answer(request: Request) -> None:
        opened.append(request.path)

    with serving(quiet, answer=answer) as url:
        lost = found(url).lost
    where = url.replace("http", "ws")
    assert lost.startswith(
        f"{where}/v1/realtime: the server opened a session and sent nothing within "
        "0.2 s; --realtime-wait=SECONDS waits longer "
    )
    assert NAME_IT in lost
    assert lost.endswith(f"choose from {', '.join(dialects.installed())}")
    assert len(opened) == 1


@pytest.mark.parametrize("frame", ["the-token, hush-hush", b"\0hush"])
def test_the_first_event_is_shown_without_secrets(frame: str | bytes) -> None:
    with serving(saying(frame)) as url:
        lost = found(f"{url}/?key=the-token").lost
    assert "the first event was " in lost
    assert "; no installed dialect begins with this event; " in lost
    assert NAME_IT in lost
    for secret in ("the-token", "hush-hush"):
        assert secret not in lost


def test_a_long_first_frame_is_shortened() -> None:
    most = dialect_detection.SHOWN
    with serving(saying("x" * (most + 1))) as url:
        assert f" ... {'x' * (most // 3)}'; no inst" in found(url).lost


def by_paths(statuses: Mapping[str, int], *, then: Talk = quiet) -> str:
    """Return why nothing was found at a server that refuses paths by these statuses."""

    def answer(request: Request) -> Response | None:
        status = statuses.get(request.path)
        return None if status is None else plain(status)

    with serving(then, answer=answer) as url:
        ways = [Access(target.parse(url, path=path)) for path in ("/a", "/b", "/c")]
        return asyncio.run(find(ways, Redactor([]))).lost


def test_a_refused_path_does_not_matter_if_a_session_opened_on_another() -> None:
    lost = by_paths({"/a": 403, "/b": 404}, then=saying("hello"))
    assert "/c: the first event was 'hello'" in lost
    assert "HTTP" not in lost


@pytest.mark.parametrize(
    ("statuses", "told"),
    [
        ({"/a": 404, "/b": 401, "/c": 403}, ["/b"]),
        ({"/a": 404, "/b": 403, "/c": 500}, ["/c"]),
        ({"/a": 404, "/b": 403, "/c": 404}, ["/b"]),
        ({"/a": 404, "/b": 404, "/c": 404}, ["/a", "/b", "/c"]),
        ({"/a": 403, "/b": 403, "/c": 404}, ["/a", "/b"]),
    ],
)
def test_the_most_telling_refusals_are_named(
    statuses: Mapping[str, int], told: list[str]
) -> None:
    lost = by_paths(statuses)
    assert [path for path in statuses if f"{path}: HTTP " in lost] == told


def test_a_server_that_refuses_every_session() -> None:
    with serving(answer=lambda request: plain(401)) as url:
        lost = found(url).lost
    assert lost.count("HTTP 401: no API key was sent") == 1
    assert NAME_IT not in lost  # no name opens what a key does not


FAMILY = {
    "vllm": "vllm",
    "openai": "openai",
    "openai:sglang": "openai:sglang",
    "openai:azure": "openai",
    "openai:localai": "openai",
    "openai-beta": "openai-beta",
    "openai-beta:riva": "openai-beta:riva",
    "openai-beta:speaches": "openai-beta:speaches",
    "sglang-omni": "sglang-omni",
}


def opening(name: str) -> str:
    """Return the first frame of a server of this dialect."""
    (frame,) = dialects.load(name).server(["m"]).open("sess-abcdefghijkl", 0)
    assert isinstance(frame, str)
    return frame


@pytest.mark.parametrize(("name", "told"), FAMILY.items())
def test_each_server_is_recognised_by_its_greeting(name: str, told: str) -> None:
    record = Record(Sender.SERVER, 0, opening(name))
    assert greetings.greeted(record) == (told,)


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        (a, b)
        for a, b in permutations(FAMILY, 2)
        if FAMILY[a] != FAMILY[b]
        # A profile that the user names is right, unless the event has another type.
        and not (a.startswith("openai") and b.startswith("openai:"))
        and not (a.startswith("openai:") and b.startswith("openai"))
    ],
)
def test_a_server_of_another_dialect_is_recognised(mine: str, theirs: str) -> None:
    loop = Loop()
    try:
        with serving(saying(opening(theirs))) as url:
            live = Live(loop, replace(plan(url), dialect=dialects.load(mine)))
            fits = f"use --realtime-dialect={FAMILY[theirs]}"
            with pytest.raises(Lost, match=fits):
                loop.run(live.open())
            loop.run(live.close())
    finally:
        loop.stop()


def test_a_server_that_closes_at_once() -> None:
    async def talk(connection: ServerConnection) -> None:
        await connection.close(4000, "no longer; the-token")

    with serving(talk) as url:
        lost = found(url).lost
    said = (
        "the server closed the connection with code 4000 before its first event: "
        "no longer; [removed]"
    )
    assert lost.count(said) == 1


def test_a_greeting_that_several_dialects_share_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(greetings, "greeted", lambda record: ("one", "two"))
    with serving(saying(CREATED)) as url:
        lost = found(url).lost
    assert ", which several dialects share (one, two); " in lost


def test_sglang_is_found_by_the_fields_of_its_session() -> None:
    with faking(dialect=dialects.load("openai:sglang"), key="hush-hush") as (url, _):
        assert found(url) == Discovery(
            "openai:sglang",
            "the first event was session.created with the fields of this profile",
        )


def test_an_unknown_server_is_described() -> None:
    with serving(saying(json.dumps(MISTRAL))) as url:
        lost = found(url).lost
    assert """the first event was '{"type": "session.created", "session": """ in lost
    assert "; no installed dialect begins with this event; Mistral sends" in lost
    assert (
        "; Mistral sends such an event, but no installed dialect supports Mistral; "
        in lost
    )
    assert " more; name the dialect with --realtime-dialect=NAME" in lost
    with faking("half-greeting", key="hush-hush") as (url, _):
        lost = found(url).lost
    assert "; the nearest dialect is vllm, but `created` is missing; name the" in lost
    with faking("strange-greeting", key="hush-hush") as (url, _):
        lost = found(url).lost
    assert "; the nearest dialect is openai:sglang, but `type` is session.re" in lost


def test_a_secret_in_a_long_first_event_is_not_cut_in_two() -> None:
    for size in range(120, 140):  # the secret lies where the text is cut
        text = f'{{"type":"x","a":"{"x" * size}hush-hush{"y" * 200}"}}'
        with serving(saying(text)) as url:
            assert "hush" not in found(url).lost


def test_dialects_without_a_first_event_are_only_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(greetings, "silent", tuple)
    every = len(asked("http://h:1"))
    monkeypatch.setattr(greetings, "silent", lambda: ("openai-beta", "vosk"))
    assert len(asked("http://h:1")) == every - 2
    with serving(quiet) as url:
        lost = found(url).lost
    assert "; a server that waits for the client to begin may speak openai-b" in lost


def test_a_late_first_event_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "COLD", 0.6)
    with faking("cold-greeting", key="hush-hush") as (url, _):
        assert "--realtime-wait=SECONDS waits longer" in found(url).lost
    with faking("cold-greeting", key="hush-hush") as (url, _):
        late = find(asked(url), Redactor(["hush-hush"]), wait=5)
        assert asyncio.run(late).dialect == "vllm"


def test_a_greeting_is_recognised_by_one_dialect_only() -> None:
    record = Record(Sender.SERVER, 0, CREATED)
    assert VLLM.greets(record)
    assert greetings.greeted(record) == ("vllm",)
