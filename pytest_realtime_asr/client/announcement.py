"""The header in which a client tells a server that replays sessions what it will say.

A live server does not get this header.
"""

ANNOUNCED = "realtime-audio"  # in lower case, as a `Request` has it
