"""Reading the header of a GGUF file that nobody vouches for.

Owns the format's metadata and tensor table, never the weights. Every count, length, offset and type is checked against
the file and against fixed bounds before anything is allocated for it, so that a truncated, lying or hostile file costs
a clear `InvalidModelFile` and neither a crash nor minutes nor gigabytes. Source: the GGUF specification of ggml,
versions 2 and 3, little-endian. We refuse version 1, big-endian files, repeated keys or tensors, overlapping tensors
and text that is not UTF-8.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

from bethink.errors import InvalidModelFile

USUAL_METADATA_BYTES = 24 << 20
MAX_METADATA_BYTES = 256 << 20
MAX_KEYS = 4096
MAX_KEY_BYTES = 1024
MAX_STRING_BYTES = 16 << 20
MAX_ARRAY_ITEMS = 4 << 20  # over the whole file; the largest vocabularies with their merges need about 1.3 million
MAX_ARRAY_DEPTH = 2
MAX_TENSORS = 1 << 16
MAX_TENSOR_NAME_BYTES = 256
MAX_DIMS = 4
MAX_ALIGNMENT = 1 << 20

_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9

# type number -> (name, elements per block, bytes per block)
TENSOR_TYPES: dict[int, tuple[str, int, int]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20), 6: ("Q5_0", 32, 22),
    7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36), 10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110),
    12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176), 14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292),
    16: ("IQ2_XXS", 256, 66), 17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82), 23: ("IQ4_XS", 256, 136),
    24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4), 27: ("I64", 1, 8), 28: ("F64", 1, 8),
    29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2), 34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66),
    39: ("MXFP4", 32, 17),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor. `shape` is as the file has it (fastest dimension first); `offset` counts from the start of the
    file.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    offset: int
    n_bytes: int

    @property
    def n_elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """`metadata` holds str, int, float, bool, and tuples of them. `data_offset` is where the weights begin."""

    version: int
    metadata: Mapping[str, Any]
    tensors: tuple[TensorInfo, ...]
    architecture: str
    file_size: int
    data_offset: int

    @property
    def n_parameters(self) -> int:
        return sum(tensor.n_elements for tensor in self.tensors)


def read_header(path: Path | str) -> GgufHeader:
    """Read and check the header of `path`; a third of a second for a vocabulary of 150,000 tokens.

    Raises: InvalidModelFile.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            file_size = file.seek(0, 2)
            file.seek(0)
            head = file.read(USUAL_METADATA_BYTES)
            try:
                return parse_header(head, file_size, path.name)
            except _HeadTooShort:
                head += file.read(MAX_METADATA_BYTES - len(head))
    except OSError as error:
        raise InvalidModelFile(f"{path} cannot be read: {error.strerror}") from error
    return parse_header(head, file_size, path.name)


def parse_header(head: bytes, file_size: int, name: str = "the file") -> GgufHeader:
    """Parse the first bytes of a GGUF file whose whole size is `file_size`.

    Raises: InvalidModelFile.
    """
    return _Parser(head, file_size, name).parse()


class _HeadTooShort(InvalidModelFile):
    """The header goes on after the bytes at hand, and the file does too."""


class _Parser:
    """A cursor over `head`. Every read checks its bound first; `_fail` names the file and what was wrong with it."""

    def __init__(self, head: bytes, file_size: int, name: str) -> None:
        self.head, self.file_size, self.name = head, file_size, name
        self.at = 0
        self.n_items = 0

    def parse(self) -> GgufHeader:
        version = self._version()
        n_tensors = self._count(MAX_TENSORS, 24, "tensors")
        n_keys = self._count(MAX_KEYS, 13, "metadata keys")
        metadata = self._metadata(n_keys)
        architecture = metadata.get("general.architecture")
        if not isinstance(architecture, str) or not architecture:
            raise self._fail("it does not say its general.architecture")
        alignment = metadata.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 8 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
            raise self._fail(f"its general.alignment is {alignment!r}, not a power of two from 8 to {MAX_ALIGNMENT}")
        raw = [self._tensor() for _ in range(n_tensors)]
        data_offset = -(-self.at // alignment) * alignment
        tensors = self._placed(raw, data_offset, alignment)
        return GgufHeader(version, metadata, tensors, architecture, self.file_size, data_offset)

    def _fail(self, why: str) -> InvalidModelFile:
        return InvalidModelFile(f"{self.name} is not a sound GGUF file: {why}", "pull it again, or ask its maker")

    def _ended(self) -> InvalidModelFile:
        if len(self.head) < self.file_size:
            return _HeadTooShort(f"{self.name} has a header of more than {len(self.head):,} bytes; that is not read")
        return self._fail(f"it ends inside its header, at byte {len(self.head):,}; the file is cut short")

    def _take(self, n_bytes: int) -> bytes:
        end = self.at + n_bytes
        if end > len(self.head):
            raise self._ended()
        piece = self.head[self.at : end]
        self.at = end
        return piece

    def _u32(self) -> int:
        return _U32.unpack(self._take(4))[0]

    def _u64(self) -> int:
        return _U64.unpack(self._take(8))[0]

    def _version(self) -> int:
        magic = self._take(4)
        if magic == b"FUGG":
            raise self._fail("it is big-endian; only little-endian files are read")
        if magic != b"GGUF":
            raise self._fail(f"it begins with {magic!r} and not with b'GGUF'")
        version = self._u32()
        if version in (0x01000000, 0x02000000, 0x03000000):
            raise self._fail("it is big-endian; only little-endian files are read")
        if version not in (2, 3):
            raise self._fail(f"it is of version {version}; versions 2 and 3 are read")
        return version

    def _count(self, most: int, min_bytes: int, what: str) -> int:
        """A count of things that take at least `min_bytes` each, so that a lying count ends before any work."""
        count = self._u64()
        if count > most:
            raise self._fail(f"it claims {count:,} {what}; the bound is {most:,}")
        if count * min_bytes > self.file_size:
            raise self._fail(f"it claims {count:,} {what}, more than its {self.file_size:,} bytes can hold")
        return count

    def _string(self, most: int, what: str) -> str:
        length = self._u64()
        if length > most:
            raise self._fail(f"{what} claims {length:,} bytes; the bound is {most:,}")
        try:
            return self._take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise self._fail(f"{what} is not UTF-8 text") from None

    def _metadata(self, n_keys: int) -> dict[str, Any]:
        metadata: dict[str, Any] = {}
        for _ in range(n_keys):
            key = self._string(MAX_KEY_BYTES, "a metadata key")
            if key in metadata:
                raise self._fail(f"the key {key!r} comes twice")
            metadata[key] = self._value(self._u32(), key, 0)
        return metadata

    def _value(self, kind: int, key: str, depth: int) -> Any:
        if code := _SCALARS.get(kind):
            scalar = struct.Struct("<" + code)
            return scalar.unpack(self._take(scalar.size))[0]
        if kind == _STRING:
            return self._string(MAX_STRING_BYTES, f"the value of {key!r}")
        if kind == _ARRAY:
            return self._array(key, depth + 1)
        raise self._fail(f"the key {key!r} has the unknown type {kind}")

    def _array(self, key: str, depth: int) -> tuple[Any, ...]:
        if depth > MAX_ARRAY_DEPTH:
            raise self._fail(f"the value of {key!r} nests arrays deeper than {MAX_ARRAY_DEPTH}")
        kind, count = self._u32(), self._u64()
        self.n_items += count
        if self.n_items > MAX_ARRAY_ITEMS:
            raise self._fail(
                f"the value of {key!r} claims {count:,} items; the bound over all keys is {MAX_ARRAY_ITEMS:,}"
            )
        if code := _SCALARS.get(kind):
            items = struct.Struct(f"<{count}{code}")
            return items.unpack(self._take(items.size))
        if kind == _STRING:
            return self._strings(count, key)
        if kind == _ARRAY:
            return tuple(self._array(key, depth + 1) for _ in range(count))
        raise self._fail(f"the value of {key!r} is an array of the unknown type {kind}")

    def _strings(self, count: int, key: str) -> tuple[str, ...]:
        """The one loop that runs 300,000 times: written out, with its bounds, for speed."""
        head, at, end = self.head, self.at, len(self.head)
        from_bytes, items = int.from_bytes, list[str]()
        try:
            for _ in range(count):
                start = at + 8
                at = start + from_bytes(head[at:start], "little")
                if start > end or at > end:
                    raise self._ended()
                items.append(head[start:at].decode())
        except UnicodeDecodeError:
            raise self._fail(f"a string in {key!r} is not UTF-8 text") from None
        self.at = at
        return tuple(items)

    def _tensor(self) -> TensorInfo:
        """As the file has it: the offset still counts from the start of the data."""
        name = self._string(MAX_TENSOR_NAME_BYTES, "a tensor name")
        n_dims = self._u32()
        if not 1 <= n_dims <= MAX_DIMS:
            raise self._fail(f"tensor {name!r} has {n_dims} dimensions")
        shape = struct.unpack(f"<{n_dims}Q", self._take(8 * n_dims))
        kind, offset = self._u32(), self._u64()
        if kind not in TENSOR_TYPES:
            raise self._fail(f"tensor {name!r} is of the unknown type {kind}")
        type_name, per_block, block_bytes = TENSOR_TYPES[kind]
        if min(shape) < 1:
            raise self._fail(f"tensor {name!r} has the empty shape {shape}")
        if shape[0] % per_block:
            raise self._fail(f"tensor {name!r} of type {type_name} has rows of {shape[0]}, no multiple of {per_block}")
        return TensorInfo(name, shape, type_name, offset, prod(shape) // per_block * block_bytes)

    def _placed(self, raw: list[TensorInfo], data_offset: int, alignment: int) -> tuple[TensorInfo, ...]:
        """Offsets from the start of the file, every tensor inside it and none over another."""
        names: set[str] = set()
        for tensor in raw:
            if tensor.name in names:
                raise self._fail(f"the tensor {tensor.name!r} comes twice")
            names.add(tensor.name)
            if tensor.offset % alignment:
                raise self._fail(f"tensor {tensor.name!r} begins at {tensor.offset:,}, not aligned to {alignment}")
            if data_offset + tensor.offset + tensor.n_bytes > self.file_size:
                raise self._fail(f"tensor {tensor.name!r} reaches past the end of the file; the file is cut short")
        ordered = sorted(raw, key=lambda tensor: tensor.offset)
        for before, after in pairwise(ordered):
            if before.offset + before.n_bytes > after.offset:
                raise self._fail(f"the tensors {before.name!r} and {after.name!r} overlap")
        return tuple(TensorInfo(t.name, t.shape, t.type, data_offset + t.offset, t.n_bytes) for t in raw)
