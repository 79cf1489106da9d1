"""Open reasoning models on hardware people own: thinking that ends, answers that carry evidence."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bethink.model import Model, ask, load
    from bethink.types import Message, Request, Result

__version__ = "0.1.0"
__all__ = ["Message", "Model", "Request", "Result", "__version__", "ask", "load"]

_HOMES = {
    "Message": "bethink.types",
    "Request": "bethink.types",
    "Result": "bethink.types",
    "Model": "bethink.model",
    "ask": "bethink.model",
    "load": "bethink.model",
}


def __getattr__(name: str) -> Any:  # a module's attributes are of any type
    """Import a public name when it is first used, so that `import bethink` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bethink' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
