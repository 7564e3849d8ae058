"""The packaged conformance suite, which judges any server."""
