"""Sessions with the fake server, which the file `pytest.ini` names."""


def test_text(realtime, corpus):
    clip = corpus["order-coffee"]
    take = realtime.transcribe(clip)
    assert take.text == clip.text
    assert len(take.timeline.settled) == 2
    assert not take.violations


def test_without_interim_texts(realtime, corpus):
    clip = corpus["order-coffee"]
    with realtime.connect(options={"interim": False}) as session:
        take = session.transcribe(clip)
    assert take.text == clip.text
    assert not [each for each in take.trace.records if '"interim"' in (each.text or "")]
