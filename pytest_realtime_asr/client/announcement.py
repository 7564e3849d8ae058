"""The header in which a client announces the audio that it will send, as a digest.

A server that replays sessions gets this header; a live server does not get it.
"""

ANNOUNCED = "realtime-audio"  # in lower case, as a `Request` has it
