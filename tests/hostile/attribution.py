"""Faults of one side that must not be attributed to the other."""

from __future__ import annotations

from dataclasses import replace

from pytest_realtime_asr.client.asgi import Application, ApplicationError
from pytest_realtime_asr.client.loss import Loss, Lost
from pytest_realtime_asr.client.transport import Unreachable
from pytest_realtime_asr.report import jsonl
from pytest_realtime_asr.report.comparison import failures, summary
from pytest_realtime_asr.report.parity import details
from pytest_realtime_asr.trace.timeline import Refusal
from pytest_realtime_asr.verdicts import parity
from pytest_realtime_asr.verdicts.comparison import compare
from pytest_realtime_asr.verdicts.limits import parse_margins
from pytest_realtime_asr.verdicts.parity import LostSession
from tests.hostile import Case, message
from tests.hostile.http import OK, frames, greeting, health, model, session
from tests.hostile.verdicts import CLIP, final, many
from tests.support.servers import closed


def dead_baseline(limit: str) -> str:
    """Return the message on a baseline whose sessions were all closed at once."""
    now = [jsonl.row("test_it", it) for it in many(8, final(1030))]
    gone = [jsonl.row("test_it", replace(it, lost=Loss.CLOSED)) for it in many(8)]
    found = compare("http://base:1", gone, now, parse_margins(limit))
    return [*failures(found), summary(found)[-1]][0]


def dead_in_the_crowd() -> str:
    """Return the message of parity if the server dies after the solo transcripts."""
    gone = LostSession(
        "refused", "ws://127.0.0.1:1/: cannot connect: Connection refused"
    )
    clip = parity.Clip(CLIP, ("go forward",) * 3, (gone,) * 3)
    return details(parity.judge(parity.Condition.CROWD, [clip]))


def bounded(text: str) -> str:
    """Return the text, which must fit on a screen."""
    assert len(text) < 3000, len(text)
    return text


def long_id() -> str:
    """Return the name of a session whose id is very long."""
    it = many(1)[0]
    timeline = replace(it.timeline, session="sess-" + "7" * 900_000 + "-end")
    recording = replace(it.recording, timeline=timeline)
    return replace(it, recording=recording).label


def redirected_to_nobody() -> str:
    """Return the message if ``/health`` redirects to a closed port."""
    with closed() as port:
        to = f"HTTP/1.1 302 X\r\nLocation: http://127.0.0.1:{port}/up?k=1\r\n\r\n"
        return health(lambda request: [to.encode()])


def wsgi(environ: object, start_response: object) -> list[bytes]:
    """Answer as a WSGI application."""
    return []


def asgi2(scope: object) -> object:
    """Answer as an ASGI 2 application."""
    return wsgi


MODELS = b'{"data":[{"id":"fake-one"}]}'
CASES = [
    Case(
        "upgrade-hung-up",
        "the server closes the connection when it is asked for a WebSocket",
        (
            "the server closed the connection without a response to the WebSocket",
            "does every proxy in between support WebSockets?",
        ),
        10,
        lambda _: session(lambda request: []),
    ),
    Case(
        "closed-without-a-code",
        "the server closes the session with a close frame without a code",
        (
            "the server closed without a code; the client waited for the server to be "
            "ready; no event was received",
        ),
        10,
        lambda _: session(frames(b"\x88\0")),
    ),
    Case(
        "greeting-closed-without-a-code",
        "a server of an unknown dialect closes with a close frame without a code",
        ("the server closed the connection without a code before its first event",),
        10,
        lambda _: greeting(frames(b"\x88\0")),
    ),
    Case(
        "text-that-is-no-utf8",
        "the server sends a text that is not UTF-8",
        ("code 1007: the server sent text that is not UTF-8: invalid start byte",),
        10,
        lambda _: session(frames(b"\x81\1\xff")),
    ),
    Case(
        "list-of-models-cut-off",
        "the server sends less of its list of models than its Content-Length",
        ("/v1/models: the response ended after 28 of 4000 bytes",),
        10,
        lambda _: model(
            lambda request: [OK + b"Content-Length: 4000\r\n\r\n" + MODELS]
        ),
    ),
    Case(
        "model-without-a-name",
        "the name of the first model is empty",
        ("the name of the first model is empty", "--realtime-model"),
        10,
        lambda _: model(lambda request: [OK, b'\r\n{"data":[{"id":""}]}']),
    ),
    Case(
        "health-redirects-for-ever",
        "the server redirects /health to itself",
        ("/health: HTTP 302", "give the final URL as the target"),
        10,
        lambda _: health(
            lambda request: [b"HTTP/1.1 302 X\r\nLocation: /health\r\n\r\n"]
        ),
    ),
    Case(
        "redirect-to-a-dead-server",
        "the server redirects /health to a closed port",
        ("/health (redirected to http://127.0.0.1:", "/up): no server was there"),
        10,
        lambda _: redirected_to_nobody(),
    ),
    Case(
        "health-fails",
        "the server answers /health with HTTP 500",
        ("/health: HTTP 500: server error",),
        10,
        lambda _: health(lambda request: [b"HTTP/1.1 500 X\r\n\r\n"]),
    ),
    Case(
        "wsgi-application",
        "the user gives a WSGI application as the target",
        ("the application wsgi is not an ASGI 3 application", "(scope, receive, send)"),
        5,
        lambda _: message(ApplicationError, lambda: Application(wsgi)),  # type: ignore[arg-type]
    ),
    Case(
        "asgi-2-application",
        "the user gives an ASGI 2 application as the target",
        ("the application asgi2 is not an ASGI 3 application", "asgiref has adapters"),
        5,
        lambda _: message(ApplicationError, lambda: Application(asgi2)),  # type: ignore[arg-type]
    ),
    Case(
        "long-error",
        "the message of an error has 900,000 characters",
        ("too much: xxx", "characters left out", "(no-memory)"),
        1,
        lambda _: bounded(str(Refusal(0, "no-memory", "too much: " + "x" * 900_000))),
    ),
    Case(
        "long-code",
        "the code of an error has 400 digits, and its message 300,000 characters",
        ("characters left out", "9)"),
        1,
        lambda _: bounded(str(Refusal(0, "9" * 400, "x" * 300_000))),
    ),
    Case(
        "long-loss",
        "the reason of a lost session is very long",
        ("closed: xx", "characters left out", "; events received: nothing"),
        1,
        lambda _: bounded(
            str(Lost("closed", f"closed: {'x' * 900_000}; events received: nothing"))
        ),
    ),
    Case(
        "long-session-id",
        "the id of a session has 900,000 characters",
        ("sess-777", "characters left out", "-end"),
        1,
        lambda _: bounded(long_id()),
    ),
    Case(
        "long-unreachable",
        "the error of an unreachable server is very long",
        ("ws://h/: no: xx", "characters left out"),
        1,
        lambda _: bounded(str(Unreachable("ws://h/: no: " + "x" * 900_000))),
    ),
    Case(
        "baseline-answers-nothing",
        "the baseline closes every session at once",
        (
            "compared with http://base:1: final_from_commit INVALID",
            "the baseline has a value in only 0 of 8 sessions (8 closed)",
            "repair the baseline server",
        ),
        5,
        lambda _: dead_baseline("final_from_commit:5%"),
    ),
    Case(
        "baseline-says-nothing",
        "the baseline sends no text, and the server the correct one",
        ("wer INVALID", "0 of 8 sessions (8 closed)"),
        5,
        lambda _: dead_baseline("wer:1pp").splitlines()[0],
    ),
    Case(
        "parity-of-a-dead-server",
        "the server dies before the concurrent sessions",
        (
            "0 of 1 utterances differ",
            "0 texts, 3 lost",
            "FAIL: 3 of 3 sessions were lost; go-forward refused: ws",
            "Connection refused",
        ),
        1,
        lambda _: dead_in_the_crowd(),
    ),
]
