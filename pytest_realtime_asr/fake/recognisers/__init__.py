"""Recognisers, which turn the audio that the fake server receives into words."""
