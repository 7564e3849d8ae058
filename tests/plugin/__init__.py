"""Tests of the plugin as a user sees it: each test runs a small user project."""
