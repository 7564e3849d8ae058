"""Targets as a user writes them, and the URLs that they mean."""

from __future__ import annotations

import pytest

from pytest_realtime_asr.client.target import Target, TargetError, parse

PATH = "/v1/realtime"


@pytest.mark.parametrize(
    ("text", "websocket", "http"),
    [
        ("http://gpu-7", "ws://gpu-7/v1/realtime", "http://gpu-7"),
        ("http://gpu-7:8000", "ws://gpu-7:8000/v1/realtime", "http://gpu-7:8000"),
        ("https://gpu-7", "wss://gpu-7/v1/realtime", "https://gpu-7"),
        ("http://gpu-7/", "ws://gpu-7/v1/realtime", "http://gpu-7"),
        ("http://gpu-7/v1", "ws://gpu-7/v1/realtime", "http://gpu-7"),
        ("http://gpu-7/v1/", "ws://gpu-7/v1/realtime", "http://gpu-7"),
        ("http://gpu-7/v1/realtime", "ws://gpu-7/v1/realtime", "http://gpu-7"),
        ("http://gpu-7/asr", "ws://gpu-7/asr/v1/realtime", "http://gpu-7/asr"),
        ("https://gpu-7/a/b/v1/", "wss://gpu-7/a/b/v1/realtime", "https://gpu-7/a/b"),
        ("ws://gpu-7:8000", "ws://gpu-7:8000/v1/realtime", "http://gpu-7:8000"),
        ("ws://gpu-7:8000/", "ws://gpu-7:8000/v1/realtime", "http://gpu-7:8000"),
        ("wss://gpu-7/v1/realtime", "wss://gpu-7/v1/realtime", "https://gpu-7"),
        ("wss://gpu-7/v1/realtime/", "wss://gpu-7/v1/realtime", "https://gpu-7"),
        (
            "wss://gpu-7/asr/v1/realtime",
            "wss://gpu-7/asr/v1/realtime",
            "https://gpu-7/asr",
        ),
        ("ws://gpu-7/listen", "ws://gpu-7/listen", "http://gpu-7"),
        ("gpu-7:8000", "ws://gpu-7:8000/v1/realtime", "http://gpu-7:8000"),
        ("gpu-7:8000/v1", "ws://gpu-7:8000/v1/realtime", "http://gpu-7:8000"),
        ("  gpu-7:8000\n", "ws://gpu-7:8000/v1/realtime", "http://gpu-7:8000"),
        (" ws://gpu-7 ", "ws://gpu-7/v1/realtime", "http://gpu-7"),
        ("HTTPS://GPU-7:1", "wss://GPU-7:1/v1/realtime", "https://GPU-7:1"),
        ("[::1]:8000", "ws://[::1]:8000/v1/realtime", "http://[::1]:8000"),
        ("http://[fe80::1]", "ws://[fe80::1]/v1/realtime", "http://[fe80::1]"),
        ("ws://h?a=b&c=d", "ws://h/v1/realtime?a=b&c=d", "http://h"),
        ("http://h/v1?a=b", "ws://h/v1/realtime?a=b", "http://h"),
        ("ws://h/listen?a=b@c#top", "ws://h/listen?a=b@c", "http://h"),
    ],
)
def test_every_form_gives_both_urls(text: str, websocket: str, http: str) -> None:
    assert parse(text, path=PATH) == Target(websocket, http)


@pytest.mark.parametrize(
    ("query", "secrets"),
    [
        ("", ()),
        ("model=whisper-large&keywords=go&language=en", ()),
        ("api_key=a%2Bb&model=m", ("a%2Bb", "a+b")),
        ("Token=t&auth_id=i&X-Amz-Signature=s", ("t", "i", "s")),
        ("key=&secret", ()),
    ],
)
def test_secrets_in_a_query_are_recognised(
    query: str, secrets: tuple[str, ...]
) -> None:
    found = parse(f"ws://h/listen?{query}", path=PATH)
    assert found.secrets == secrets
    assert not any(secret in repr(found) for secret in secrets if len(secret) > 1)


def test_the_path_of_the_dialect_is_the_default() -> None:
    assert parse("h:1", path="/listen") == Target("ws://h:1/listen", "http://h:1")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the target has no host"),
        ("   ", "the target has no host"),
        ("gpu-7", "the target has no port"),
        ("fake", "the target has no port"),
        ("::1", "write an IPv6 address in brackets"),
        ("::1:8000", "write an IPv6 address in brackets"),
        ("http://gpu-7:0", "port 0 cannot be used"),
        ("gpu 7:1", "not allowed in a URL; write this character as %XX"),
        ("http://gpu-7/\u00e4", "not allowed in a URL"),
        ("http://gpu..7:1", "gpu..7 is not a valid host name"),
        (f"http://{'x' * 64}:1", "is not a valid host name"),
        ("http://", "the target has no host"),
        ("http://:8000", "the target has no host"),
        ("ftp://gpu-7", "the scheme ftp:// is unknown"),
        ("://gpu-7", "the scheme :// is unknown"),
        ("http://gpu-7:port", "Port|port"),
        ("http://gpu-7:99999", "Port|port"),
        ("http://[::1", "Invalid IPv6 URL"),
    ],
)
def test_an_invalid_target_is_refused_with_the_valid_forms(text: str, why: str) -> None:
    with pytest.raises(TargetError, match=why) as caught:
        parse(text, path=PATH)
    message = str(caught.value)
    assert message.startswith(f"cannot parse the target {text!r}: ")
    for form in (
        "http://",
        "ws://gpu-7:8000/v1/realtime",
        " gpu-7:8000",
        "fake",
        "reference",
    ):
        assert form in message


SECRET = "hush"


@pytest.mark.parametrize(
    "text",
    [
        "http://user:hush@gpu-7:8000",
        "http://hush@gpu-7",
        "ws://:hush@gpu-7",
        "http://@gpu-7",
        "user:hush@gpu-7",
        "user:hush@gpu-7:8000",
        "ftp://user:hush@gpu-7",
        "http://user:hush@gpu-7:99999",
        "http://user:hush?@gpu-7",
        "http://user:hush/@gpu-7",
        "http://user:hush\u2100@gpu-7",
    ],
)
def test_a_password_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse(text, path=PATH)
    assert SECRET not in str(caught.value)
    assert "REALTIME_API_KEY" in str(caught.value)
    assert "--realtime-api-key-env" in str(caught.value)


@pytest.mark.parametrize("text", ["ftp://gpu-7?key=hush", "gpu-7?key=hush"])
def test_the_query_of_an_invalid_target_is_not_shown(text: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse(text, path=PATH)
    assert SECRET not in str(caught.value)


def test_the_query_of_a_valid_target_is_not_shown() -> None:
    target = parse("wss://gpu-7/v1/realtime?key=hush", path=PATH)
    assert target.shown == "wss://gpu-7/v1/realtime"
    assert SECRET not in repr(target)
    assert SECRET not in target.http
    assert target.websocket.endswith("?key=hush")


@pytest.mark.parametrize(
    ("text", "secure"),
    [("http://h", False), ("ws://h", False), ("https://h", True), ("wss://h", True)],
)
def test_secure(text: str, secure: bool) -> None:
    assert parse(text, path=PATH).secure is secure


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("localhost:8000", True),
        ("ws://LOCALHOST", True),
        ("http://asr.localhost", True),
        ("127.0.0.1:8000", True),
        ("127.8.8.8:8000", True),
        ("[::1]:8000", True),
        ("gpu-7:8000", False),
        ("http://notlocalhost", False),
        ("http://localhost.example.org", False),
        ("0.0.0.0:8000", False),
        ("[2001:db8::1]:8000", False),
    ],
)
def test_loopback(text: str, loopback: bool) -> None:
    assert parse(text, path=PATH).loopback is loopback
