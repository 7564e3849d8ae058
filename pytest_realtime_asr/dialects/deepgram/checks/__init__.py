"""Checks of the events of Deepgram's protocol."""
