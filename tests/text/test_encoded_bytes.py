"""Base64 by each encoder that may be installed."""

from __future__ import annotations

import base64
import binascii
import sys
from functools import partial

import pytest

from pytest_realtime_asr.text import encoded_bytes


@pytest.mark.parametrize("length", [0, 1, 2, 3, 3200, 64_001])
def test_every_encoder_writes_the_same_text(
    length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = bytes(n % 251 for n in range(length))
    found = encoded_bytes.base64_encoder()
    monkeypatch.setitem(sys.modules, "pybase64", None)  # as if not installed
    plain = encoded_bytes.base64_encoder()
    assert isinstance(plain, partial)
    assert plain.func is binascii.b2a_base64
    for encode in (encoded_bytes.base64, found, plain):
        assert encode(data) == base64.b64encode(data)


def test_the_optional_encoder_is_used_if_it_is_installed() -> None:
    pybase64 = pytest.importorskip("pybase64")
    assert encoded_bytes.base64_encoder() is pybase64.b64encode
