"""What a user may write where a model is expected, read into frozen values.

    qwen3:4b                          a catalogue name (anything that is none of the below)
    hf:org/repo[@revision][:file]     Hugging Face; `file` may be a pattern (`*q4_k_m.gguf`), or absent: the best is
    chosen ms:org/repo[@revision][:file]     ModelScope, likewise wheel:package==version            the model inside a
    package; `part{1..6}` names six packages whose data is joined ./model.gguf, /models/qwen-ov     a GGUF file, or a
    folder in OpenVINO's own format

Owns the grammar only: nothing here asks the network or decides what a name means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from bethink.errors import UnknownModel

Hub = Literal["hf", "ms"]
Kind = Literal["models", "datasets"]
"""What a repository holds. Hubs keep the two apart, so that one name may be of both."""

_HUB = re.compile(r"(hf|ms):([\w.-]+/[\w.-]+)(?:@([\w./-]+))?(?::(.+))?")
_WHEEL = re.compile(r"wheel:([A-Za-z0-9][\w.{}-]*)==([\w.+!-]+)")
_RANGE = re.compile(r"\{(\d{1,4})\.\.(\d{1,4})\}")
_HUB_NAMES = {"hf": "Hugging Face", "ms": "ModelScope"}


@dataclass(frozen=True, slots=True)
class HubRef:
    hub: Hub
    repo: str
    revision: str | None = None
    file: str | None = None
    kind: Kind = "models"

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.hub}:{self.repo}{revision}" + (f":{self.file}" if self.file else "")

    @property
    def place(self) -> str:
        return f"{_HUB_NAMES[self.hub]} ({self.repo})"

    @property
    def is_pattern(self) -> bool:
        return self.file is not None and any(c in self.file for c in "*?[")


@dataclass(frozen=True, slots=True)
class WheelRef:
    """`packages` are joined in this order; all are of `version`."""

    text: str
    packages: tuple[str, ...]
    version: str

    def __str__(self) -> str:
        return self.text

    @property
    def place(self) -> str:
        return f"the Python package index ({self.text.removeprefix('wheel:')})"


@dataclass(frozen=True, slots=True)
class PathRef:
    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @property
    def place(self) -> str:
        return str(self.path)


Reference = HubRef | WheelRef | PathRef


def parse_reference(text: str) -> Reference | None:
    """The reference that `text` is, or None where it can only be a name.

    Raises: UnknownModel, for a reference with a mistake in it.
    """
    if text.startswith(("hf:", "ms:")):
        if not (found := _HUB.fullmatch(text)):
            raise UnknownModel(
                f"{text!r} is no model reference", f"write {text[:3]}org/repo or {text[:3]}org/repo:file.gguf"
            )
        hub: Hub = "hf" if found[1] == "hf" else "ms"
        return HubRef(hub, found[2], found[3], found[4])
    if text.startswith("wheel:"):
        return _wheel(text)
    if _looks_like_path(text):
        return PathRef(Path(text).expanduser().absolute())
    return None


def _wheel(text: str) -> WheelRef:
    if not (found := _WHEEL.fullmatch(text)):
        raise UnknownModel(f"{text!r} is no model reference", "write wheel:package==version")
    package, version = found[1], found[2]
    if not (span := _RANGE.search(package)):
        if "{" in package or "}" in package:
            raise UnknownModel(
                f"{text!r} has braces that name no range", "write a range as in wheel:model-part{1..6}==1.0"
            )
        return WheelRef(text, (package,), version)
    first, last = int(span[1]), int(span[2])
    if last < first:
        raise UnknownModel(f"{text!r} counts backwards", "write a range as in wheel:model-part{1..6}==1.0")
    before, after = package[: span.start()], package[span.end() :]
    return WheelRef(text, tuple(f"{before}{i}{after}" for i in range(first, last + 1)), version)


def _looks_like_path(text: str) -> bool:
    if text.startswith(("/", "./", "../", "~", ".\\", "..\\")) or re.match(r"[A-Za-z]:[\\/]", text):
        return True
    return text.lower().endswith(".gguf") or ("/" in text and Path(text).exists())


def without_credentials(url: str) -> str:
    """`url` as it may be shown: without a user name, password or query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))
