"""Tests realtime speech-recognition servers with pytest."""
