"""The packaged suite that judges any server."""
