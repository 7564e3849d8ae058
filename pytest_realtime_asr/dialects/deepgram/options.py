"""The options of a session, which are in the query of the URL.

The client and the fake server check the options that change what crosses the wire. All
other options, such as ``language`` or ``smart_format``, are passed on unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from pytest_realtime_asr.audio import g711
from pytest_realtime_asr.dialects import Request
from pytest_realtime_asr.dialects.deepgram.profile import Profile

LINEAR = "linear16"
LAWS: Mapping[str, g711.Law] = {"mulaw": g711.MU, "alaw": g711.A}
ENDPOINTING = 10  # ms of silence that end speech, unless the client asks otherwise
_RATES = range(8_000, 192_001)  # Hz
_FLAGS = {"true": True, "false": False}
# Options after which the results would not come back in the form that is read here.
_UNREADABLE = {
    "callback": "the results would be sent to another server",
    "multichannel": "there would be results for each channel",
}


@dataclass(frozen=True, slots=True)
class Listening:
    """The options of a session that change what crosses the wire.

    ``law`` is the G.711 law of the audio, ``None`` for linear PCM. ``endpointing`` is
    the length of the silence that ends speech. ``utterance_end`` is the time without a
    word after which `UtteranceEnd` is sent. Both are in seconds, and ``None`` turns
    them off.
    """

    model: str | None = None
    rate: int = 16_000
    law: g711.Law | None = None
    interim_results: bool = False
    vad_events: bool = False
    endpointing: float | None = ENDPOINTING / 1000
    utterance_end: float | None = None


def asked(request: Request, profile: Profile) -> Listening:
    """Return the options of a request, as a server of this profile reads them.

    Raises ValueError for an option that such a server does not support.
    """
    encoding = request.first("encoding")
    _supported(encoding, profile)
    rate = _number(request, "sample_rate")
    if encoding is not None and rate is None:
        raise ValueError("sample_rate: it is required with encoding")
    if rate is not None and (
        rate not in _RATES or (len(profile.rates) == 1 and rate != profile.rates[0])
    ):
        raise ValueError(f"sample_rate: {rate} Hz is not supported")
    if (_number(request, "channels") or 1) != 1:
        raise ValueError("channels: only one channel is supported")
    interim_results = _flag(request, "interim_results")
    utterance_end = _number(request, "utterance_end_ms")
    if utterance_end is not None and not interim_results:
        raise ValueError("utterance_end_ms: it needs interim_results=true")
    return Listening(
        request.first("model"),
        rate or profile.rates[0],
        LAWS.get(encoding or ""),
        interim_results,
        _flag(request, "vad_events"),
        _endpointing(request),
        None if utterance_end is None else utterance_end / 1000,
    )


def query(model: str, options: Mapping[str, object], profile: Profile) -> str:
    """Return the query of the URL for a session with these options.

    Raises ValueError for an option with which the client cannot work.
    """
    if "model" in options:
        raise ValueError("model: it is not an option here; use --realtime-model")
    for name, why in _UNREADABLE.items():
        if options.get(name, False) not in (False, "false"):
            raise ValueError(f"{name}: {why}; remove the option")
    encoding = str(options.get("encoding", LINEAR))
    _supported(encoding, profile)
    if options.get("channels", 1) not in (1, "1"):
        raise ValueError("channels: only one channel is supported; remove the option")
    given = {
        **({"model": model} if model else {}),
        "encoding": encoding,
        "sample_rate": rate(options, profile),
        "channels": 1,
        "interim_results": True,
        **options,
    }
    return urlencode([(n, each) for n, v in given.items() for each in _texts(n, v)])


def rate(options: Mapping[str, object], profile: Profile) -> int:
    """Return the sample rate of the audio in Hz. Raises ValueError if it is invalid."""
    companded = options.get("encoding") in LAWS
    value = options.get("sample_rate", g711.RATE if companded else profile.rates[0])
    number = int(value) if isinstance(value, str) and value.isdecimal() else value
    if not isinstance(number, int) or isinstance(number, bool) or number not in _RATES:
        raise ValueError(
            f"sample_rate: {value!r} is not a sample rate; give a number of Hz from "
            f"{_RATES[0]} to {_RATES[-1]}"
        )
    return number


def _supported(encoding: str | None, profile: Profile) -> None:
    """Raise ValueError for an encoding that the profile does not support."""
    known = (LINEAR, *LAWS) if profile.companded else (LINEAR,)
    if encoding is not None and encoding not in known:
        raise ValueError(
            f"encoding: {encoding!r} is not supported; choose from {', '.join(known)}"
        )


def _texts(name: str, value: object) -> Sequence[str]:
    """Return the values of a query parameter as texts.

    A list gives several values; ``None`` gives no value.
    """
    match value:
        case None:
            return ()
        case bool():
            return ("true" if value else "false",)
        case str() | int() | float():
            return (str(value),)
        case list() | tuple():
            return [text for each in value for text in _texts(name, each)]
    raise ValueError(
        f"{name}: {value!r} cannot be part of a URL; give a text, a number, true, "
        "false, or a list of these"
    )


def _flag(request: Request, name: str) -> bool:
    text = request.first(name)
    if text is None:
        return False
    if text.lower() not in _FLAGS:
        raise ValueError(f"{name}: {text[:100]!r} is neither true nor false")
    return _FLAGS[text.lower()]


def _number(request: Request, name: str) -> int | None:
    text = request.first(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text)):
        raise ValueError(f"{name}: {text[:100]!r} is not a positive whole number")
    return int(text)


def _endpointing(request: Request) -> float | None:
    text = (request.first("endpointing") or "true").lower()
    if text in _FLAGS:
        return ENDPOINTING / 1000 if _FLAGS[text] else None
    return (_number(request, "endpointing") or 0) / 1000
