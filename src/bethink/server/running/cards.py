"""What is known of a model without loading it: for lists, and for clients that ask before they choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bethink.store import Store


@dataclass(frozen=True, slots=True)
class Card:
    """`pulled_at` is UTC, ISO 8601; `parameters` counts weights. None or empty where nobody knows."""

    name: str
    sha256: str = ""
    size: int = 0
    format: str = "gguf"
    family: str | None = None
    quantisation: str = ""
    parameters: int | None = None
    context_length: int | None = None
    licence: str | None = None
    pulled_at: str = ""


def cards_of(store: Store) -> Callable[[str], Card]:
    """Looks a (resolved) name up in the store."""

    def card(name: str) -> Card:
        local = store.get(name)
        entry, manifest = local.entry, local.manifest
        return Card(
            name=local.name,
            sha256=local.sha256,
            size=manifest.size,
            format=local.format,
            family=local.family,
            quantisation="" if entry is None else entry.quantisation,
            parameters=None if entry is None else entry.parameters,
            context_length=None if entry is None else entry.context_length,
            licence=manifest.licence,
            pulled_at=manifest.pulled_at,
        )

    return card
