"""The client's side of the protocol of vosk-server."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from pytest_realtime_asr.dialects import option_types
from pytest_realtime_asr.dialects.option_types import OptionType
from pytest_realtime_asr.dialects.vosk.events import EOF_TEXT, RESET_TEXT
from pytest_realtime_asr.dialects.vosk.profile import Profile

_TYPES = {
    "words": OptionType(bool | int, "true or false"),
    "max_alternatives": OptionType(
        Annotated[int, msgspec.Meta(ge=0)], "a whole number of 0 or more"
    ),
    "phrase_list": OptionType(list[str], "a list of texts"),
}


class Caller:
    """The client's side of a session.

    The options are the fields of the configuration. ``sample_rate`` is a whole number
    of Hz. ``words`` is true by default, so that results have word times. Other fields
    are sent unchanged. Raises ValueError for a sample rate that the client cannot send,
    for a known field with a value of another type, and for any option if the server
    reads no configuration.
    """

    binary = True
    tail = 0.0
    query = ""
    headers: Mapping[str, str] = {}

    def __init__(self, profile: Profile, options: Mapping[str, object]) -> None:
        if options and not profile.config:
            raise ValueError(
                f"{', '.join(options)}: this server reads no configuration; remove the "
                "options, or use a profile with config=yes"
            )
        self.rate = _rate(options.get("sample_rate", profile.rate))
        option_types.check(options, _TYPES)
        self._profile = profile
        self._config = {"words": True, **options, "sample_rate": self.rate}

    def configure(self) -> Sequence[str]:
        if not self._profile.config:
            return ()
        return (msgspec.json.encode({"config": self._config}).decode(),)

    def begin(self) -> Sequence[str]:
        return ()

    def append(self, pcm: bytes) -> bytes:
        return pcm

    def finish(self) -> Sequence[str]:
        return (RESET_TEXT if self._profile.reset else EOF_TEXT,)


def _rate(value: object) -> int:
    number = value if isinstance(value, int | float) else math.nan
    if 1_000 <= number <= 192_000 and number == int(number):
        return int(number)
    raise ValueError(
        f"sample_rate: {value!r} must be a whole number of Hz from 1000 to 192000"
    )
