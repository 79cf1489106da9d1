"""Plain values as bytes and back. Reading never runs code, never trusts a length, and gives exact builtin types only,
so that bytes written by a hostile program are harmless: a value that compares equal is equal.

Runs inside the sandbox too, so it needs nothing but the interpreter.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # spelled out, because importing `typing` would take most of the start
    from collections.abc import Callable
    from typing import Any


MAX_DEPTH = 200
_CONTAINERS = (list, tuple, set, frozenset, dict)
_PLAIN = (bool, int, float, complex, str, bytes, bytearray, range, *_CONTAINERS)


class Unreadable(ValueError):
    """Bytes that are no value."""


class CannotTravel(ValueError):
    """A value that is not plain. Says which."""


class Remote:
    """An object that stays in the program's process: a number to name it by, what it is, and what it can do."""

    __slots__ = ("abilities", "kind", "number", "shown", "type_name")

    def __init__(self, number: int, kind: str, type_name: str, shown: str, abilities: tuple[str, ...]) -> None:
        self.number = number
        self.kind = kind
        self.type_name = type_name
        self.shown = shown
        self.abilities = abilities


def encode(value: object, refer: Callable[[object], Remote] | None = None) -> bytes:
    """Raises: CannotTravel. `refer` names the objects that are not plain."""
    parts: list[bytes] = []
    _write(value, parts, refer, 0, set())
    return b"".join(parts)


def decode(
    data: bytes,
    resolve: Callable[[Remote], object] | None = None,
    narrowed: Callable[[str], None] | None = None,
) -> object:
    """`narrowed` hears the name of every class whose value came as the builtin below it. Raises: Unreadable."""
    reader = _Reader(data, resolve, narrowed)
    try:
        value = reader.read(0)
    except (ValueError, IndexError, TypeError, OverflowError, RecursionError) as error:
        raise Unreadable(f"no value: {error}") from error
    if reader.at != len(data):
        raise Unreadable("something follows the value")
    return value


def _write(
    value: object, parts: list[bytes], refer: Callable[[object], Remote] | None, depth: int, inside: set[int]
) -> None:
    if depth > MAX_DEPTH:
        raise CannotTravel("a value nested too deeply")
    # A subclass travels as its builtin, with its name: a Counter is a dict. What it overrides is not asked.
    kind: type[object] = type(value)
    if isinstance(value, _PLAIN) and kind not in _PLAIN:
        parts.append(b"W2:")
        _sized(parts, b"s", kind.__name__.encode("utf-8", "surrogatepass"))
    if value is None or value is True or value is False:
        parts.append({None: b"N", True: b"T", False: b"F"}[value])
    elif isinstance(value, int):
        _sized(parts, b"i", b"%x" % int.__index__(value))
    elif isinstance(value, float):
        _sized(parts, b"f", float.__repr__(value).encode())
    elif isinstance(value, complex):
        _sized(parts, b"c", f"{float.__repr__(value.real)} {float.__repr__(value.imag)}".encode())
    elif isinstance(value, str):
        _sized(parts, b"s", str.encode(value, "utf-8", "surrogatepass"))
    elif isinstance(value, (bytes, bytearray)):
        _sized(parts, b"b" if isinstance(value, bytes) else b"B", bytes(value))
    elif isinstance(value, range):
        _write_items(parts, b"r", (value.start, value.stop, value.step), refer, depth, inside)
    elif isinstance(value, _CONTAINERS):
        key = id(value)  # pyright: ignore[reportUnknownArgumentType]  of whatever
        if key in inside:
            raise CannotTravel("a value that contains itself")
        inside.add(key)
        _write_container(value, parts, refer, depth, inside)
        inside.discard(key)
    elif refer is not None:
        it = refer(value)
        _write_items(parts, b"R", (it.number, it.kind, it.type_name, it.shown, it.abilities), None, depth, inside)
    else:
        raise CannotTravel(f"a value of type {type(value).__name__}")


def _write_container(
    value: Any, parts: list[bytes], refer: Callable[[object], Remote] | None, depth: int, inside: set[int]
) -> None:
    if isinstance(value, dict):
        pairs: Any = dict.items(value)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        _write_items(parts, b"d", [item for pair in pairs for item in pair], refer, depth, inside)
        return
    for kind, tag in ((list, b"l"), (tuple, b"t"), (set, b"S"), (frozenset, b"Z")):
        if isinstance(value, kind):
            own: Any = kind
            _write_items(parts, tag, list(own.__iter__(value)), refer, depth, inside)
            return


def _write_items(
    parts: list[bytes], tag: bytes, items: list[object] | tuple[object, ...],
    refer: Callable[[object], Remote] | None, depth: int, inside: set[int],
) -> None:  # fmt: skip
    parts.append(b"%s%d:" % (tag, len(items)))
    for item in items:
        _write(item, parts, refer, depth + 1, inside)


def _sized(parts: list[bytes], tag: bytes, data: bytes) -> None:
    parts.append(b"%s%d:" % (tag, len(data)))
    parts.append(data)


class _Reader:
    def __init__(
        self, data: bytes, resolve: Callable[[Remote], object] | None, narrowed: Callable[[str], None] | None
    ) -> None:
        self.data = data
        self.at = 0
        self.resolve = resolve
        self.narrowed = narrowed

    def read(self, depth: int) -> object:
        if depth > MAX_DEPTH + 2:
            raise Unreadable("nested too deeply")
        tag = self.data[self.at : self.at + 1]
        self.at += 1
        if tag in (b"N", b"T", b"F"):
            return {b"N": None, b"T": True, b"F": False}[tag]
        colon = self.data.index(b":", self.at, self.at + 20)
        size = int(self.data[self.at : colon])
        self.at = colon + 1
        if size < 0 or size > len(self.data) - self.at:
            raise Unreadable("a length beyond the end")
        if tag in (b"i", b"f", b"c", b"s", b"b", b"B"):
            piece = self.data[self.at : self.at + size]
            self.at += size
            return _scalar(tag, piece)
        return self._container(tag, [self.read(depth + (tag != b"W")) for _ in range(size)])

    def _container(self, tag: bytes, items: list[object]) -> object:
        match tag:
            case b"l":
                return items
            case b"t":
                return tuple(items)
            case b"S":
                return set(items)
            case b"Z":
                return frozenset(items)
            case b"d":
                return dict(zip(items[::2], items[1::2], strict=True))
            case b"r":
                start, stop, step = (item for item in items if type(item) is int)
                return range(start, stop, step)
            case b"W":
                name, value = items
                if self.narrowed is not None:
                    self.narrowed(str(name))
                return value
            case b"R" if self.resolve is not None:
                return self.resolve(_remote(items))
            case _:
                raise Unreadable(f"no kind of value: {tag!r}")


def _scalar(tag: bytes, piece: bytes) -> object:
    match tag:
        case b"i":
            return int(piece, 16)
        case b"f":
            return float(piece)
        case b"c":
            real, imag = piece.split(b" ")
            return complex(float(real), float(imag))
        case b"s":
            return piece.decode("utf-8", "surrogatepass")
        case b"b":
            return piece
        case _:
            return bytearray(piece)


def _remote(items: list[object]) -> Remote:
    number, kind, type_name, shown, abilities = items
    if (
        type(number) is int
        and type(kind) is str
        and type(type_name) is str
        and type(shown) is str
        and type(abilities) is tuple
    ):
        return Remote(number, kind, type_name, shown, tuple(str(it) for it in abilities))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    raise Unreadable("no object")
