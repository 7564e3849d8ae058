"""The released servers of the bench: their wheels, and the dialect of each.

The small packages that a handler imports stand in the dependency groups ``servers-*``
of pyproject.toml.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Server:
    """A released server, and the ``dialect`` of the plugin that judges it.

    The value ``wheels`` has the distributions that are downloaded without their
    dependencies, each as a requirement with its version. The module ``application`` of
    this folder makes the ASGI application. The tests of the server run if the
    environment variable ``asked`` is set. The handler itself checks a key if ``keyed``
    is true.
    """

    product: str
    version: str
    wheels: tuple[str, ...]
    application: str
    group: str
    asked: str
    dialect: str
    keyed: bool = False

    @property
    def name(self) -> str:
        """The name of the server for ``bench.py`` and for the list of findings."""
        return f"{self.product.lower()}-{self.version}"


def _vllm(version: str) -> Server:
    return Server(
        product="vLLM",
        version=version,
        wheels=(f"vllm=={version}",),
        application="vllm_application",
        group="servers-vllm",
        asked="VLLM_INTEROP",
        dialect="vllm",
        keyed=version != "0.16.0",  # there, no session opens if a key is set
    )


VLLM = (_vllm("0.16.0"), _vllm("0.22.1"), _vllm("0.33.0"))
VLLM_OMNI = Server(
    product="vLLM-Omni",
    version="0.30.0",
    wheels=("vllm-omni==0.30.0", "vllm==0.30.0"),
    application="vllm_omni_application",
    group="servers-vllm",
    asked="VLLM_OMNI_INTEROP",
    dialect="vllm",
    keyed=True,
)
SGLANG = Server(
    product="SGLang",
    version="0.5.23",
    wheels=("sglang==0.5.23",),
    application="sglang_application",
    group="servers-sglang",
    asked="SGLANG_INTEROP",
    dialect="openai:sglang",
)
SGLANG_OMNI = Server(
    product="SGLang-Omni",
    version="0.1.9",
    wheels=("sglang-omni==0.1.9",),
    application="sglang_omni_application",
    group="servers-sglang-omni",
    asked="SGLANG_OMNI_INTEROP",
    dialect="sglang-omni",
)
WHISPERLIVEKIT = Server(
    product="WhisperLiveKit",
    version="0.2.26",
    wheels=("whisperlivekit==0.2.26",),
    application="whisperlivekit_application",
    group="servers-whisperlivekit",
    asked="WHISPERLIVEKIT_INTEROP",
    dialect="deepgram:whisperlivekit-listen",
    keyed=True,
)
SERVERS = {
    server.name: server
    for server in (*VLLM, VLLM_OMNI, SGLANG, SGLANG_OMNI, WHISPERLIVEKIT)
}
