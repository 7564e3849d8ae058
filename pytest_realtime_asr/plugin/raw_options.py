"""The raw values of the options of a run, and the places that set them.

Every pytest run imports this module, so it imports little. The places are the command
line, the ini file and the environment, in this order of precedence. If an option may be
repeated, each line of the ini file or of the environment variable is one value.
`pytest_realtime_asr.plugin.settings` parses the values.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from pytest_realtime_asr.plugin.options import BY_NAME, Option


class Given(NamedTuple):
    """The raw value of an option, and the name of the place that sets the option.

    ``value`` is a string, true for a flag on the command line, or a list of strings for
    an option that may be repeated. ``stated`` is false if the value is the default.
    ``from_environment`` is true if an environment variable sets the option. Such a
    variable may also be set in runs that do not use this plugin.
    """

    value: object
    place: str
    stated: bool = True
    from_environment: bool = False


def first_given(
    option: Option, line: object, ini: object, environment: Mapping[str, str]
) -> Given:
    """Return the value from the first place that sets the option, or the default.

    ``line`` is the value on the command line, and ``ini`` is the value in the ini file.
    Each is ``None`` if the option is not set there. An environment variable that is
    empty counts as not set.
    """
    if line is not None:
        return Given(line, option.cli)
    if ini is not None:
        return Given(ini, f"{option.ini} in the ini file")
    place = f"the environment variable {option.env}"
    text = environment.get(option.env, "")
    stated = bool(text.strip())
    if not stated:
        place, text = option.cli, option.default
    value: object = text
    if option.many:
        value = [line.strip() for line in text.splitlines() if line.strip()]
    return Given(value, place, stated, from_environment=stated)


def flag(text: str) -> bool:
    """Convert the value of a flag to a boolean; "" is false. Raises ValueError."""
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    raise ValueError(f"{text!r} is neither true nor false; write true or false")


class RawOptions:
    """The raw options of a run: pytest has read them, but they are not yet parsed.

    ``wrong_environment`` becomes true if an error is found in an option that an
    environment variable sets.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.wrong_environment = False
        self._config = config

    def line(self, option: Option) -> object:
        """Return the value of an option on the command line, or ``None``."""
        return self._config.getoption(option.ini)

    def ini(self, option: Option) -> object:
        """Return the value of an option in the ini file, or ``None``.

        Raises UsageError.
        """
        try:
            return self._config.getini(option.ini)
        except (TypeError, ValueError) as error:  # the value may be a TOML number
            raise pytest.UsageError(f"{option.ini} in the ini file: {error}") from None

    def given(self, name: str) -> Given:
        """Return the value of an option and the place that sets it.

        Raises UsageError.
        """
        option = BY_NAME[name]
        return first_given(option, self.line(option), self.ini(option), os.environ)

    def text(self, name: str) -> str:
        """Return the value that is set for an option, or an empty string.

        A flag with a wrong value in the environment counts as not set, since this value
        must not end a run that does not use the plugin. The header reports the wrong
        value, and a test that uses the plugin fails. Raises UsageError for a flag with
        a wrong value on the command line or in the ini file.
        """
        found = self.given(name)
        if not found.stated:
            return ""
        if wrong := self.wrong_flag(name):
            if found.from_environment:
                return ""
            raise pytest.UsageError(wrong)
        return str(found.value or "")

    def flag(self, name: str) -> bool:
        """Return whether a flag is set. Raises UsageError."""
        return flag(self.text(name))

    def wrong_flag(self, name: str) -> str:
        """Return what is wrong with the value of a flag, or an empty string.

        The message begins with the place that sets the flag.
        """
        found = self.given(name)
        try:
            if BY_NAME[name].flag:
                flag(str(found.value))
        except ValueError as error:
            return f"{found.place}: {error}"
        return ""

    def usage_error(self, name: str, error: object) -> pytest.UsageError:
        """Return an error whose message begins with the place that sets the option."""
        return pytest.UsageError(f"{self.given(name).place}: {error}")
