"""The plugin as its users see it: each test runs a small project of theirs."""
