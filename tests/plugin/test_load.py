"""Tests that run several sessions at the same time."""

from __future__ import annotations

import pytest

from tests.support.project import Project


@pytest.mark.slow
def test_concurrency(project: Project) -> None:
    project.write(
        """
def test_many(realtime, corpus):
    takes = realtime.transcribe([corpus["turn-right"]] * 20, concurrency=10)
    assert {take.text for take in takes} == {"turn right and stop"}
    spans = [(t.trace.started.timestamp(), t.trace.end.at / 1e9) for t in takes]
    most = max(sum(b <= a < b + e for b, e in spans) for a, _ in spans)
    assert 2 <= most <= 11

@pytest.mark.asyncio
async def test_gathered(realtime, corpus):
    import asyncio

    async def one(name):
        async with realtime.connect() as session:
            return (await session.transcribe(corpus[name])).text

    names = ["turn-right", "open-door"] * 3
    texts = await asyncio.gather(*map(one, names))
    assert texts == [corpus[name].text for name in names]
"""
    )
    result = project.run("--realtime-report=out.jsonl")
    result.assert_outcomes(passed=2)
    assert len(project.rows()) == 26
