"""Models on disk: what is known by name, what is here, and how it gets here (`store.pull`, imported when needed)."""

from bethink.store.catalogue import Catalogue, CatalogueEntry
from bethink.store.library import LocalModel, Prepared, Removed, Store

__all__ = ["Catalogue", "CatalogueEntry", "LocalModel", "Prepared", "Removed", "Store"]
