"""Adds measurements and evidence to the reports of other pytest plugins.

- pytest-html: the evidence of a failure and the properties of the test, as extras.
- allure-pytest: the evidence and the properties, as attachments.
- pytest-json-ctrf: the properties as parameters of the test, since CTRF has no
  properties.

The plugins are not imported. All secrets have already been removed from the added data.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_realtime_asr.report.junit import PREFIX

_ALLURE = "allure_listener"  # registered if --alluredir is given
_CTRF = "_ctrf_metadata"  # the attribute that pytest-json-ctrf gives to a report
_EVIDENCE, _PROPERTIES = "realtime sessions", "realtime properties"


def add(config: pytest.Config, report: pytest.TestReport, evidence: str) -> None:
    """Add the results of a test to the reports of other plugins in this run.

    ``report`` is the report of a phase of the test. The properties are added at the end
    of the test. ``evidence`` is the text of a failure in this phase, or "".
    """
    properties = {
        name: value for name, value in report.user_properties if name.startswith(PREFIX)
    }
    ended = report.when == "teardown" and bool(properties)
    if config.getoption("htmlpath", None):
        extras = [_extra(_EVIDENCE, evidence)] if evidence else []
        extras += [_extra(_PROPERTIES, properties)] if ended else []
        vars(report)["extras"] = [*getattr(report, "extras", []), *extras]
    listener: Any = config.pluginmanager.getplugin(_ALLURE)
    if listener is not None:
        if evidence:
            listener.attach_data(evidence, _EVIDENCE, "text/plain", "txt")
        if ended:
            shown = json.dumps(properties, ensure_ascii=False, indent=1)
            listener.attach_data(shown, _PROPERTIES, "application/json", "json")
    metadata = getattr(report, _CTRF, None)
    if ended and isinstance(metadata, dict):
        parameters = {**(metadata.get("parameters") or {}), **properties}
        setattr(report, _CTRF, {**metadata, "parameters": parameters})


def _extra(name: str, content: str | dict[str, Any]) -> dict[str, Any]:
    """Return an extra in the form of pytest-html; a mapping is shown as JSON."""
    text = isinstance(content, str)
    return {
        "name": name,
        "format_type": "text" if text else "json",
        "content": content,
        "mime_type": "text/plain" if text else "application/json",
        "extension": "txt" if text else "json",
    }
