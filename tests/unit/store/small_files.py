"""Model files and packages of a few hundred bytes, sound unless a test makes them otherwise."""

from __future__ import annotations

import hashlib
import io
import struct
import zipfile
from collections.abc import Mapping, Sequence

Value = str | int | float | bool | list[str] | list[int] | list[float]


def string(text: str | bytes) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw)) + raw


def value(of: Value) -> bytes:
    """The type number and the bytes of one metadata value."""
    match of:
        case bool():
            return struct.pack("<I?", 7, of)
        case int():
            return struct.pack("<IQ", 10, of)
        case float():
            return struct.pack("<Id", 12, of)
        case str():
            return struct.pack("<I", 8) + string(of)
        case list():
            kind = value(of[0])[:4] if of else struct.pack("<I", 8)
            return struct.pack("<I", 9) + kind + struct.pack("<Q", len(of)) + b"".join(value(item)[4:] for item in of)


def pair(key: str | bytes, raw_value: bytes) -> bytes:
    return string(key) + raw_value


def tensor(name: str, shape: Sequence[int], kind: int, offset: int) -> bytes:
    return string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def gguf(
    metadata: Mapping[str, Value] | None = None,
    *,
    pairs: Sequence[bytes] = (),
    tensors: Sequence[bytes] | None = None,
    n_pairs: int | None = None,
    n_tensors: int | None = None,
    version: int = 3,
    data: bytes = bytes(range(256)),
) -> bytes:
    """A GGUF file with two F32 tensors of 32 elements, unless told otherwise. Counts may be made to lie."""
    given = {"general.architecture": "llama", "general.name": "tiny", "tokenizer.chat_template": "{{ messages }}"}
    written = [pair(key, value(of)) for key, of in (given | dict(metadata or {})).items()] + list(pairs)
    infos = [tensor("a", [32], 0, 0), tensor("b", [8, 4], 0, 128)] if tensors is None else list(tensors)
    head = struct.pack(
        "<4sIQQ",
        b"GGUF",
        version,
        len(infos) if n_tensors is None else n_tensors,
        len(written) if n_pairs is None else n_pairs,
    )
    head += b"".join(written) + b"".join(infos)
    return head + bytes(-len(head) % 32) + data


def wheel(package: str, version: str, members: Mapping[str, bytes]) -> tuple[str, bytes]:
    """(file name, bytes) of a wheel with these members, and with code that must never run."""
    name = package.replace("-", "_")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('a package was imported')\n")
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(f"{name}-{version}.dist-info/METADATA", f"Name: {package}\nVersion: {version}\n" + "x" * 4000)
    return f"{name}-{version}-py3-none-any.whl", buffer.getvalue()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
