"""llama.cpp through xllamacpp, for machines and models that OpenVINO does not serve: extra `bethink[llamacpp]`.

The model lives in a process of its own (`server`), which this side speaks to over loopback HTTP: a crash or a hang in
native code takes no user's program along, Ctrl-C stays ours, and closing is always possible.
"""

from bethink.engine.llamacpp.engine import LlamaCppEngine
from bethink.engine.llamacpp.settings import LlamaCppSettings

__all__ = ["LlamaCppEngine", "LlamaCppSettings"]
