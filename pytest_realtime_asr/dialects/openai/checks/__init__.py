"""Checks of the requirements that only OpenAI's protocol has."""
