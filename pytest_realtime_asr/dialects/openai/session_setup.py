"""Reads session settings from an update, and writes an update for given settings.

The general and the beta shape have the same settings. In the beta shape all fields are
on one level and have other names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from pytest_realtime_asr.audio import g711
from pytest_realtime_asr.dialects.openai.profile import Profile


class Strict(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """A JSON object inside an update of the session settings.

    If a field is missing, its setting does not change. ``None`` resets the setting to
    its default.
    """


class Format(Strict, frozen=True):
    """The encoding of the audio; ``rate`` is in Hz, and only PCM has a rate."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"]
    rate: Annotated[int, Meta(gt=0, le=2**31)] | None = None


class Transcription(Strict, frozen=True):
    """The model that transcribes the audio, and options of the model."""

    model: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    keywords: list[str] | None = None
    prompt: str | None = None
    delay: Literal["minimal", "low", "medium", "high", "xhigh"] | None = None


_Time = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class ServerVad(Strict, frozen=True, tag_field="type", tag="server_vad"):
    """Detection of turns by silence; times are in ms."""

    threshold: Annotated[float, Meta(ge=0, le=1)] = 0.5
    prefix_padding_ms: _Time = 300
    silence_duration_ms: _Time = 500
    idle_timeout_ms: _Time | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None


class SemanticVad(Strict, frozen=True, tag_field="type", tag="semantic_vad"):
    """Detection of turns by the meaning of the speech."""

    eagerness: Literal["low", "medium", "high", "auto"] = "auto"
    create_response: bool | None = None
    interrupt_response: bool | None = None


Detection = ServerVad | SemanticVad


class NoiseReduction(Strict, frozen=True):
    """The reduction of noise before the audio is transcribed."""

    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class Input(Strict, frozen=True):
    """The settings of the audio that the client sends."""

    format: Format | UnsetType = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    turn_detection: Detection | UnsetType | None = UNSET
    noise_reduction: NoiseReduction | UnsetType | None = UNSET


class SessionAudio(Strict, frozen=True):
    """The settings of the audio of a session."""

    input: Input | UnsetType = UNSET


class Session(Strict, frozen=True):
    """The settings of a transcription session in the general shape."""

    type: Literal["transcription"]
    audio: SessionAudio | UnsetType = UNSET
    include: list[str] | UnsetType | None = UNSET


class BetaSession(Strict, frozen=True):
    """The settings of a transcription session in the beta shape."""

    input_audio_format: Literal["pcm16", "g711_ulaw", "g711_alaw"] | UnsetType = UNSET
    input_audio_transcription: Transcription | UnsetType | None = UNSET
    turn_detection: Detection | UnsetType | None = UNSET
    input_audio_noise_reduction: NoiseReduction | UnsetType | None = UNSET
    include: list[str] | UnsetType | None = UNSET
    modalities: list[str] | UnsetType = UNSET
    input_audio_params: dict[str, Any] | UnsetType = UNSET  # Riva

    @property
    def input(self) -> Input:
        """The settings of the input audio in the general shape."""
        name = self.input_audio_format
        return Input(
            format=Format(_GENERAL[name]) if isinstance(name, str) else UNSET,
            transcription=self.input_audio_transcription,
            turn_detection=self.turn_detection,
            noise_reduction=self.input_audio_noise_reduction,
        )


PCM, PCMU, PCMA = "audio/pcm", "audio/pcmu", "audio/pcma"
LAWS: Mapping[str, g711.Law] = {PCMU: g711.MU, PCMA: g711.A}
LOGPROBS = "item.input_audio_transcription.logprobs"
_GENERAL: dict[str, Any] = {"pcm16": PCM, "g711_ulaw": PCMU, "g711_alaw": PCMA}
_BETA = {general: beta for beta, general in _GENERAL.items()}
_SHORT = {"pcm": PCM, "pcmu": PCMU, "pcma": PCMA}
_TRANSCRIPTION = ("language", "languages", "keywords", "prompt", "delay")
_LONGEST = {"low": 8.0, "medium": 4.0, "high": 2.0, "auto": 4.0}  # s, by eagerness


@dataclass(frozen=True, slots=True)
class Setup:
    """The turn detection and the audio format of a session."""

    detection: Detection | None = None
    format: Format | None = None

    def changed(self, content: Mapping[str, object]) -> Setup:
        """Return the setup after an update; fields that cannot be parsed are ignored.

        The update may have the general or the beta shape.
        """
        audio = content.get("audio")
        found = audio.get("input") if isinstance(audio, dict) else content
        found = found if isinstance(found, dict) else {}
        it = found.get("format")
        if (name := found.get("input_audio_format")) is not None:
            it = {"type": _GENERAL.get(str(name))}
        turns = found.get("turn_detection", UNSET)
        return Setup(
            _or(turns, Detection | None, self.detection), _or(it, Format, self.format)
        )

    @property
    def law(self) -> g711.Law | None:
        """The G.711 law of the audio; ``None`` for PCM."""
        return LAWS.get(self.format.type) if self.format is not None else None

    def rate(self, default: int) -> int:
        """Return the sample rate of the audio in Hz; ``default`` if no rate is set."""
        return default if self.format is None else rate(self.format, default)


def _or(value: object, kind: Any, otherwise: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return otherwise


def detection(value: object) -> Detection | None:
    """Return the turn detection that an option asks for.

    Raises ValueError if the option is not valid.
    """
    if isinstance(value, str):
        value = {"type": value}
    try:
        found: Detection | None = msgspec.convert(value, Detection | None)
        return found
    except msgspec.ValidationError as error:
        raise ValueError(
            f"turn_detection: {error}; choose server_vad or semantic_vad"
        ) from None


def audio_format(value: object, profile: Profile) -> Format:
    """Return the audio format that an option asks for, PCM by default.

    Raises ValueError if the option is not valid.
    """
    if value is None:
        value = PCM
    if isinstance(value, str):
        value = {"type": _SHORT.get(value, value)}
    try:
        found = msgspec.convert(value, Format)
    except msgspec.ValidationError as error:
        raise ValueError(f"format: {error}; choose pcm, pcmu or pcma") from None
    return complete(found, profile)


def complete(it: Format, profile: Profile) -> Format:
    """Return the format; PCM without a rate gets the first rate of the profile."""
    if it.type == PCM and it.rate is None:
        return Format(PCM, profile.rates[0])
    return it


def rate(it: Format, default: int) -> int:
    """Return the sample rate of a format in Hz; ``default`` for PCM without a rate."""
    return (it.rate or default) if it.type == PCM else g711.RATE


def silence(it: Detection | None) -> float:
    """Return the shortest silence that ends a turn, in seconds."""
    match it:
        case ServerVad(silence_duration_ms=ms):
            return ms / 1000
        case SemanticVad():
            return 0.3
    return 0.0


def longest(it: Detection | None) -> float:
    """Return the silence after which a turn has certainly ended, in seconds."""
    match it:
        case ServerVad(silence_duration_ms=ms):
            return ms / 1000 + 2.0
        case SemanticVad(eagerness=eagerness):
            return _LONGEST[eagerness] + 2.0
    return 0.0


def written(
    model: str, options: Mapping[str, object], profile: Profile
) -> dict[str, Any]:
    """Return the session object of an update. Raises ValueError for invalid options.

    Each option of the audio, such as ``format``, ``language``, ``prompt``,
    ``turn_detection`` (``None`` by default) or ``noise_reduction``, becomes the field
    that the shape of the profile has for it. All other options become fields of the
    session object itself.
    """
    rest = dict(options)
    nested = sorted({"audio", "type", "input_audio_format"} & rest.keys())
    if nested:
        raise ValueError(
            f"{', '.join(nested)}: cannot be an option; give the single fields as "
            'options, such as {"turn_detection": "server_vad", "language": "en"}; the '
            "client puts them where the server expects them"
        )
    transcription: dict[str, object] = {"model": model or None}
    for name in _TRANSCRIPTION:
        if name in rest:
            transcription[name] = rest.pop(name)
    it = audio_format(rest.pop("format", None), profile)
    turns = msgspec.to_builtins(detection(rest.pop("turn_detection", None)))
    noise = rest.pop("noise_reduction", None)
    if isinstance(noise, str):
        noise = {"type": noise}
    if profile.beta:
        if it.type == PCM and it.rate != profile.rates[0]:
            raise ValueError(
                f"format: the beta shape cannot request a rate of {it.rate} Hz; if the "
                f"server always expects this rate, add rates={it.rate} to its profile"
            )
        session: dict[str, Any] = {
            "input_audio_transcription": transcription,
            "turn_detection": turns,
        }
        if it.type != PCM:
            session["input_audio_format"] = _BETA[it.type]
        if noise is not None:
            session["input_audio_noise_reduction"] = noise
        return session | rest
    audio: dict[str, Any] = {
        "format": msgspec.to_builtins(it),
        "transcription": transcription,
        "turn_detection": turns,
    }
    if noise is not None:
        audio["noise_reduction"] = noise
    return {"type": "transcription", "audio": {"input": audio}} | rest


def read(content: object, *, beta: bool) -> tuple[Input, list[str] | UnsetType | None]:
    """Return what an update sets: the settings of the input audio, and ``include``.

    Raises msgspec.ValidationError if the update is not valid.
    """
    if beta:
        flat = msgspec.convert(content, BetaSession)
        return flat.input, flat.include
    session = msgspec.convert(content, Session)
    found = UNSET if isinstance(session.audio, UnsetType) else session.audio.input
    return (Input() if isinstance(found, UnsetType) else found), session.include


def place(field: str, *, beta: bool) -> str:
    """Return the path to a field of the input settings in a session object."""
    if not beta:
        return f"session.audio.input.{field}"
    return f"session.{field if field == 'turn_detection' else f'input_audio_{field}'}"


def shown(it: Input, include: list[str] | None, *, beta: bool) -> dict[str, Any]:
    """Return the session object that a server shows to the client."""
    audio: dict[str, Any] = msgspec.to_builtins(it)
    for name in ("transcription", "turn_detection", "noise_reduction"):
        audio.setdefault(name, None)
    if isinstance(it.turn_detection, Detection):  # add the default values
        whole = msgspec.structs.asdict(it.turn_detection)
        audio["turn_detection"] |= {k: v for k, v in whole.items() if v is not None}
    if not beta:
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "audio": {"input": audio},
            "include": include,
        }
    found = audio.get("format")
    return {
        "object": "realtime.transcription_session",
        "modalities": ["text"],
        "input_audio_format": _BETA[found["type"]] if found else "pcm16",
        "input_audio_transcription": audio["transcription"],
        "turn_detection": audio["turn_detection"],
        "input_audio_noise_reduction": audio["noise_reduction"],
        "include": include,
    }
