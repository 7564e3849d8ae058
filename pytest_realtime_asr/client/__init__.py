"""The client side of a session: target, HTTP probe, WebSocket, event loop."""
