"""Recognisers that turn the audio of the fake server into words."""
