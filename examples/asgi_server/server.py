"""A realtime transcription server as an ASGI application, without a framework.

The stub recogniser stands where a real server has its engine. The request handler,
which the tests are about, stays the same.
"""

import json

from session import MODEL, Session

from pytest_realtime_asr import StubRecogniser

recogniser = StubRecogniser("bundled:english")


async def app(scope, receive, send):
    """Serve ``GET /v1/models`` and the WebSocket ``/v1/realtime``."""
    if scope["type"] == "http":
        await respond(scope, send)
    elif scope["type"] == "websocket":
        await receive()  # websocket.connect
        if scope["path"] != "/v1/realtime":
            await send({"type": "websocket.close", "code": 1008})
            return
        await send({"type": "websocket.accept"})
        await converse(receive, send)


async def respond(scope, send):
    found = scope["path"] == "/v1/models"
    body = {"object": "list", "data": [{"id": MODEL}]} if found else {}
    headers = [(b"content-type", b"application/json")]
    status = 200 if found else 404
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})


async def converse(receive, send):
    session = Session(recogniser)
    await send({"type": "websocket.send", "text": json.dumps(session.open())})
    while (message := await receive())["type"] == "websocket.receive":
        for event in session.handle(message.get("text")):
            await send({"type": "websocket.send", "text": json.dumps(event)})
