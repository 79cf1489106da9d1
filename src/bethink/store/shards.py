"""Models that were cut into several GGUF files: how they are known, and what to do with them.

bethink keeps a model as one file under one hash, and does not join pieces; llama.cpp's own tool does.
"""

from __future__ import annotations

import re

from bethink.errors import InvalidModelFile
from bethink.store.gguf import GgufHeader

JOIN_SHARDS = (
    "fetch all of its pieces yourself and join them with llama.cpp's tool: "
    "llama-gguf-split --merge NAME-00001-of-0000N.gguf whole.gguf, then bethink pull ./whole.gguf"
)
_SHARD = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.IGNORECASE)


def is_shard(path: str) -> bool:
    """Whether a file is called as a piece of a model is."""
    return _SHARD.search(path) is not None


def refuse_shard(name: str, header: GgufHeader) -> None:
    """Raises: InvalidModelFile: the file says that it is one of several."""
    count = header.metadata.get("split.count", 0)
    if isinstance(count, int) and count > 1:
        raise InvalidModelFile(f"{name} is one of {count} pieces of a model, which bethink does not join", JOIN_SHARDS)
