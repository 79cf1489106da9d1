"""Runs inside the sandbox, beside the tests: what they see of the program in the other process.

The rule that keeps a verdict honest: what a test expects never travels to an object that the program chose to return.
Such an object could claim to equal whatever it is shown. So comparing or computing with one and a plain value is
refused (`Unsure`), as is asking it whether it starts with, contains or includes something.
"""

from __future__ import annotations

import builtins
import os
import sys

from bethink.verify.judge.values import CannotTravel, Remote, Unreadable, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:  # spelled out, because importing `typing` would take most of the start
    from collections.abc import Callable, Iterator
    from typing import Any

_LEAKS = frozenset({"startswith", "endswith", "issubset", "issuperset", "isdisjoint", "equals"})
_BINARY = (
    "__lt__", "__le__", "__gt__", "__ge__", "__add__", "__sub__", "__mul__", "__truediv__", "__floordiv__", "__mod__",
    "__pow__", "__and__", "__or__", "__xor__",
)  # fmt: skip
_UNARY = ("__len__", "__bool__", "__neg__", "__abs__", "__int__", "__float__", "__index__", "__str__", "__repr__")


class Unsure(BaseException):
    """The tests do something that cannot be checked from outside. Not an `Exception`: no test may swallow it."""


class Gone(BaseException):
    """The program's process ended, or sends what is no reply."""


class Wire:
    """The conversation with the program: one request, one reply. `trouble` keeps the first `Unsure` or `Gone`,
    because a test could swallow it after all."""

    def __init__(self, ask: Callable[[bytes], None], hear: Callable[[], bytes | None]) -> None:
        self._ask, self._hear = ask, hear
        self.trouble: Unsure | Gone | None = None
        self.is_loaded = False
        """Whether the program's names are known: what comes later is what it returns."""
        self.n_calls = 0
        self.last = ""
        """The last call and what came out, for people."""
        self.narrowed = ""
        """The last class of which the tests got no more than the builtin below it."""
        self._exceptions: dict[str, type[BaseException]] = {}
        self._proxies: dict[tuple[str, ...], type[Proxy]] = {}

    def request(self, *parts: object) -> tuple[object, list[Any]]:
        """What the program returned, and which arguments it changed. Raises what it raised."""
        try:
            data = encode(parts, self._refer)
        except CannotTravel as error:
            raise self.unsure(f"{error} cannot be given to the program") from None
        self.n_calls += 1
        self._ask(data)
        return self.reply()

    def reply(self) -> tuple[object, list[Any]]:
        data = self._hear()
        if data is None:
            raise self.gone("the program ended before it answered")
        try:
            answer: Any = decode(data, self._meet, self._narrow)
        except Unreadable as error:
            raise self.gone(f"the program sent no reply: {error}") from None
        match answer:
            case ("ok", _, list(), str()):
                _, value, changed, printed = answer
                sys.stdout.write(printed)
                return value, changed
            case ("raised", tuple(), tuple(), str(), list() | tuple(), str()):
                names, args, shown, _, printed = answer[1:]
                sys.stdout.write(printed)
                raise self._exception(tuple(str(name) for name in names), args, shown)
            case ("stays", str() as what):
                raise self.unsure(f"the program returned {what}")
            case _:
                raise self.gone("the program sent no reply")

    def _narrow(self, name: str) -> None:
        self.narrowed = name

    def unsure(self, why: str) -> Unsure:
        error = Unsure(why)
        self.trouble = self.trouble or error
        return error

    def gone(self, why: str) -> Gone:
        error = Gone(why)
        self.trouble = self.trouble or error
        return error

    def _exception(self, names: tuple[str, ...], args: tuple[object, ...], shown: str) -> BaseException:
        kind = self.exception_type(names)
        try:
            error = kind(*args)
        except Exception:  # noqa: BLE001  a builtin that wants other arguments, as UnicodeDecodeError does
            error = kind(shown) if kind.__module__ == "program" else RuntimeError(shown)
        error.__notes__ = ["raised by the program"]
        return error

    def exception_type(self, names: tuple[str, ...]) -> type[BaseException]:
        """The builtin of that name, or a class made after the program's, below the same builtin."""
        if names and names[0] in self._exceptions:
            return self._exceptions[names[0]]
        for name in names:
            kind = getattr(builtins, name, None)
            if isinstance(kind, type) and issubclass(kind, BaseException):
                if name == names[0]:
                    return kind
                bases = self.exception_type(names[1:])
                made = type(names[0], (bases,), {"__module__": "program", "__init__": _take_anything})
                return self._exceptions.setdefault(names[0], made)
        return RuntimeError

    def _refer(self, value: object) -> Remote:
        if isinstance(value, (Proxy, RemoteFunction, RemoteClass)):
            return object.__getattribute__(value, "remote")
        raise CannotTravel(f"a value of type {type(value).__name__}")

    def _meet(self, remote: Remote) -> object:
        match remote.kind:
            case "function":
                return RemoteFunction(self, remote)
            case "class":
                return RemoteClass(self, remote, is_offered=not self.is_loaded)
            case "exception":
                return self.exception_type(remote.abilities)
            case "module":
                return Module(remote.type_name)
            case _:
                kind = self._proxies.get(remote.abilities) or _proxy_type(remote.abilities)
                self._proxies[remote.abilities] = kind
                return kind(self, remote)


def _take_anything(self: object, *args: object) -> None:
    """The constructor of an exception whose class is the program's: its arguments are kept by `BaseException`."""
    del self, args


class Module:
    """A module that the program imported."""

    def __init__(self, name: str) -> None:
        self.name = name


class RemoteFunction:
    """A function of the program."""

    def __init__(self, wire: Wire, remote: Remote, *, refuses: str = "") -> None:
        self._wire, self.remote, self._refuses = wire, remote, refuses
        self.__name__ = self.__qualname__ = remote.type_name

    def __call__(self, *args: Any, **options: Any) -> object:
        if self._refuses and (args or options):
            raise self._wire.unsure(self._refuses)
        self._wire.last = f"{self.__name__}({_listed(args, options)})"
        try:
            value, changed = self._wire.request("call", self.remote.number, args, options)
        except StopIteration as error:  # it would end a loop of the tests as if all had been seen
            raise RuntimeError("the program raised StopIteration") from error
        self._wire.last += f" returned {short(value)}"
        for place, new in changed:
            _change(args[place] if isinstance(place, int) else options[place], new)
        return value

    def __repr__(self) -> str:
        return f"<function {self.remote.type_name}>"


def short(value: object) -> str:
    """A value in one line."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  an int too long to print, an object of the tests' own
        text = f"a {type(value).__name__} that cannot be printed"
    return text if len(text) <= 200 else f"{text[:150]} … {text[-40:]}"


def _listed(args: tuple[object, ...], options: dict[str, object]) -> str:
    return ", ".join([*map(short, args), *(f"{name}={short(value)}" for name, value in options.items())])


def _change(old: Any, new: Any) -> None:
    """Give an argument the content that the program gave it."""
    if type(old) is not type(new):
        return
    if type(new) in (list, bytearray):
        old[:] = new
    elif type(new) in (dict, set):
        old.clear()
        old.update(new)


class RemoteClass:
    """A class of the program. Its objects live there; tests hold proxies."""

    def __init__(self, wire: Wire, remote: Remote, *, is_offered: bool) -> None:
        self._wire, self.remote, self._is_offered = wire, remote, is_offered
        self.__name__ = self.__qualname__ = remote.type_name

    def __call__(self, *args: Any, **options: Any) -> object:
        made = RemoteFunction(self._wire, self.remote)(*args, **options)
        if isinstance(made, Proxy):
            object.__setattr__(made, "_is_made_here", True)
        return made

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        value = self._wire.request("get", self.remote.number, name)[0]
        return _bound(self._wire, self.remote, name, value, is_trusted=self._is_offered)

    def __instancecheck__(self, thing: object) -> bool:
        return isinstance(thing, Proxy) and object.__getattribute__(thing, "remote").type_name == self.__name__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemoteClass) and other.remote.number == self.remote.number

    def __hash__(self) -> int:
        return hash(self.remote.number)


class Proxy:
    """An object of the program. What it can do is added by `_proxy_type`."""

    def __init__(self, wire: Wire, remote: Remote) -> None:
        object.__setattr__(self, "_wire", wire)
        object.__setattr__(self, "remote", remote)
        object.__setattr__(self, "_is_made_here", False)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        wire, remote, is_made_here = _parts(self)
        value = wire.request("get", remote.number, name)[0]
        return _bound(wire, remote, name, value, is_trusted=is_made_here)

    def __setattr__(self, name: str, value: object) -> None:
        wire, remote, _ = _parts(self)
        wire.request("set", remote.number, name, value)

    def __eq__(self, other: object) -> bool:
        wire, remote, _ = _parts(self)
        if not isinstance(other, Proxy):
            if other is None or "__eq__" not in remote.abilities:
                return False
            raise wire.unsure(f"an object of the program's class {remote.type_name} is compared with {other!r}")
        if "__eq__" in remote.abilities and remote.number != _parts(other)[1].number:
            return wire.request("special", remote.number, "__eq__", (other,))[0] is True
        return remote.number == _parts(other)[1].number

    def __hash__(self) -> int:
        return hash(_parts(self)[1].number)

    def __repr__(self) -> str:
        return f"<{_parts(self)[1].shown}>"


def _bound(wire: Wire, owner: Remote, name: str, value: object, *, is_trusted: bool) -> object:
    """An attribute. A method of something that the program returned takes no arguments: they could be what a test
    expects."""
    if isinstance(value, RemoteFunction):
        refuses = "" if is_trusted and name not in _LEAKS else f"{owner.type_name}.{name} would decide by itself"
        return RemoteFunction(wire, value.remote, refuses=refuses)
    return value


def _parts(proxy: Proxy) -> tuple[Wire, Remote, bool]:
    read = object.__getattribute__
    return read(proxy, "_wire"), read(proxy, "remote"), read(proxy, "_is_made_here")


def _proxy_type(abilities: tuple[str, ...]) -> type[Proxy]:
    """A class of proxies that can what the object's class can, so that `len` and friends work or fail as they must."""
    body: dict[str, object] = {}
    for name in abilities:
        if name in _UNARY:
            body[name] = _forward(name)
        elif name in _BINARY:
            body[name] = _forward(name, only_proxies=True)
        elif name in ("__getitem__", "__setitem__", "__delitem__"):
            body[name] = _forward(name)
    if "__next__" in abilities:
        body["__next__"] = _forward("__next__")
    if "__iter__" in abilities:
        body["__iter__"] = _iterate
    elif "__contains__" in abilities:
        body["__contains__"] = _forward("__contains__", only_proxies=True)
    if "__enter__" in abilities:
        body["__enter__"] = _forward("__enter__")
        body["__exit__"] = _leave
    if "__call__" in abilities:
        body["__call__"] = _call
    return type("Proxy", (Proxy,), body)


def _forward(name: str, *, only_proxies: bool = False) -> Callable[..., object]:
    def method(self: Proxy, *args: object) -> object:
        wire, remote, _ = _parts(self)
        if only_proxies and not all(isinstance(it, Proxy) for it in args):
            raise wire.unsure(f"{name} of an object of the program's class {remote.type_name} meets {args[0]!r}")
        return wire.request("special", remote.number, name, args)[0]

    return method


def _leave(self: Proxy, *error: object) -> object:
    del error  # a traceback cannot travel
    wire, remote, _ = _parts(self)
    return wire.request("special", remote.number, "__exit__", (None, None, None))[0]


def _call(self: Proxy, *args: object, **options: object) -> object:
    wire, remote, is_made_here = _parts(self)
    refuses = "" if is_made_here else f"an object of the program's class {remote.type_name} would decide by itself"
    return RemoteFunction(wire, remote, refuses=refuses)(*args, **options)


def _iterate(self: Proxy) -> Iterator[object]:
    wire, remote, _ = _parts(self)
    inner = wire.request("special", remote.number, "__iter__", ())[0]
    number = _parts(inner)[1].number if isinstance(inner, Proxy) else remote.number
    while True:
        try:
            item = wire.request("special", number, "__next__", ())[0]
        except StopIteration:
            return
        yield item


def read_frame(fd: int) -> bytes | None:
    """One message; None at the end of input."""
    head = _take(fd, 8)
    return _take(fd, int.from_bytes(head, "big")) if head is not None else None


def _take(fd: int, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size > 0:
        part = os.read(fd, min(size, 1 << 16))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
