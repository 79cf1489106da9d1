"""The models that bethink knows by name, read from `catalogue.toml`.

Owns the meaning of a name: `qwen3:4b` is the entry's first quantisation, `qwen3:4b-q8_0` another. An entry that has no
`sha256` takes the hash that its hub states (recorded at the first pull); `size` is exact where given, `approx_size`
never.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from typing import Any, cast

from bethink.errors import StoreError, UnknownModel

# Bits per weight that a whole file of this quantisation takes, scales and the larger types of some tensors included.
BITS_PER_WEIGHT: Mapping[str, float] = {
    "q4_0": 4.6, "q4_1": 5.1, "q4_k_m": 4.85, "q5_k_m": 5.7, "q6_k": 6.57, "q8_0": 8.51, "f16": 16.0, "bf16": 16.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One model in one quantisation. `sources` are references in the order to ask.

    `n_layers`, `n_kv_heads`, `head_dim`, `parameters` and `context_length` are those of the model's own configuration;
    None where we are not sure. `default_precision` is what the model is prepared in for the OpenVINO engine.
    `approx_size` is `size` where that is known, otherwise within about a tenth, from the number of weights.
    """

    name: str
    family: str
    licence: str
    sources: tuple[str, ...]
    quantisation: str
    default_precision: str
    about: str = ""
    file: str | None = None
    size: int | None = None
    approx_size: int | None = None
    sha256: str | None = None
    parameters: int | None = None
    context_length: int | None = None
    n_layers: int | None = None
    n_kv_heads: int | None = None
    head_dim: int | None = None


@dataclass(frozen=True, slots=True)
class Catalogue:
    """`entries` by name, in the order of the file. `aliases` maps other spellings to names."""

    entries: Mapping[str, CatalogueEntry]
    aliases: Mapping[str, str]

    @staticmethod
    def load() -> Catalogue:
        """The catalogue shipped with this version of bethink."""
        return _shipped()

    def find(self, name: str) -> CatalogueEntry | None:
        key = name.lower()
        return self.entries.get(self.aliases.get(key, key))

    def get(self, name: str) -> CatalogueEntry:
        """Raises: UnknownModel, naming the closest names."""
        if entry := self.find(name):
            return entry
        close = difflib.get_close_matches(name.lower(), self.entries, n=3, cutoff=0.6)
        close = close or [known for known in self.entries if known.startswith(name.lower())][:3]
        guess = f"did you mean {' or '.join(close)}? " if close else ""
        raise UnknownModel(
            f"no model is called {name!r}",
            f"{guess}`bethink models list --all` shows the names; hf:org/repo, ms:org/repo, wheel:package==version "
            "and paths are taken too",
        )


@cache
def _shipped() -> Catalogue:
    text = resources.files("bethink.store").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return parse_catalogue(text)


def parse_catalogue(text: str) -> Catalogue:
    """Raises: StoreError, for unknown keys, repeated names or quantisations without a known size."""
    entries: dict[str, CatalogueEntry] = {}
    aliases: dict[str, str] = {}
    try:
        models = cast("list[dict[str, Any]]", tomllib.loads(text).get("model", []))
    except tomllib.TOMLDecodeError as error:
        raise StoreError(f"the catalogue is not valid TOML: {error}") from error
    for model in models:
        base = str(model["name"])
        for index, entry in enumerate(_expand(model)):
            if entry.name in entries:
                raise StoreError(f"the catalogue names {entry.name} twice")
            entries[entry.name] = entry
            if index == 0:
                aliases[f"{base}-{entry.quantisation}"] = entry.name
    return Catalogue(entries, aliases)


def _expand(model: dict[str, Any]) -> list[CatalogueEntry]:
    """One entry for each quantisation; `[model.exact.<quantisation>]` holds what is known of one file."""
    shared = {key: value for key, value in model.items() if key not in ("name", "quantisations", "exact", "sources")}
    exact = cast("dict[str, dict[str, Any]]", model.get("exact", {}))
    quantisations = cast("list[str]", model["quantisations"])
    if stray := sorted(exact.keys() - set(quantisations)):
        raise StoreError(f"{model['name']} describes quantisations it does not list: {', '.join(stray)}")
    known = {field.name for field in fields(CatalogueEntry)} | {"file_parameters"}
    entries: list[CatalogueEntry] = []
    for index, quantisation in enumerate(quantisations):
        if quantisation not in BITS_PER_WEIGHT:
            raise StoreError(f"{model['name']} has the unknown quantisation {quantisation!r}")
        values = {"sources": model.get("sources", []), **shared, **exact.get(quantisation, {})}
        if unknown := sorted(values.keys() - known):
            raise StoreError(f"{model['name']} has unknown keys: {', '.join(unknown)}")
        n_weights = values.pop("file_parameters", None) or values.get("parameters")
        guess = round(n_weights * BITS_PER_WEIGHT[quantisation] / 8) if n_weights else None
        values["approx_size"] = values.get("size") or values.get("approx_size") or guess
        values["sources"] = tuple(str(s).replace("{quantisation}", quantisation) for s in values["sources"])
        name = model["name"] if index == 0 else f"{model['name']}-{quantisation}"
        entries.append(CatalogueEntry(name=name, quantisation=quantisation, **values))
    return entries
