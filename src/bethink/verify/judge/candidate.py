"""Runs inside the sandbox: the program under test, which answers calls from outside.

It reads requests from the standard input that it was started with and writes replies to its standard output; the
program gets neither. Nothing here is a defence: a program that takes this apart can at most send wrong values.
"""

from __future__ import annotations

import io
import os
import sys

from bethink.verify.judge.values import CannotTravel, Remote, decode, encode

TYPE_CHECKING = False
if TYPE_CHECKING:  # spelled out, because importing `typing` would take most of the start
    from collections.abc import Callable
    from typing import Any

_ABILITIES = (
    "__len__", "__iter__", "__next__", "__getitem__", "__setitem__", "__delitem__", "__contains__", "__bool__",
    "__call__",
    "__eq__", "__lt__", "__le__", "__gt__", "__ge__", "__add__", "__sub__", "__mul__", "__truediv__", "__floordiv__",
    "__mod__", "__pow__", "__and__", "__or__", "__xor__", "__neg__", "__abs__", "__int__", "__float__", "__index__",
    "__enter__", "__exit__", "__str__", "__repr__", "__hash__",
)  # fmt: skip
_PLAIN = (type(None), bool, int, float, complex, str, bytes, bytearray, range, list, tuple, set, frozenset, dict)
_MUTABLE = (list, dict, set, bytearray)


def main(argument: tuple[str, bool]) -> None:
    """`argument`: the source, and whether requests are expressions (else calls)."""
    source, takes_expressions = argument
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    server = _Server(requests, replies)
    server.reply(lambda: server.load(source))
    while True:
        request = server.read()
        if request is None:
            os._exit(0)
        if takes_expressions:
            server.reply(lambda request=request: server.evaluate(request))
        else:
            server.reply(lambda request=request: server.obey(request))


class _Server:
    def __init__(self, requests: int, replies: int) -> None:
        self.requests, self.replies = requests, replies
        self.objects: list[object] = []
        self.numbers: dict[int, int] = {}
        self.names: dict[str, Any] = {}
        self.printed = io.StringIO()
        self.changed: list[tuple[object, object]] = []

    def load(self, source: str) -> dict[str, object]:
        """Run the program as if it were imported, so that what it only does as a script does not happen. What it
        defines, by name."""
        module = sys.modules["__main__"] = sys.modules["program"] = type(sys)("program")
        sys.argv = ["program.py"]
        self.names = module.__dict__
        self.names["__file__"] = "program.py"
        exec(compile(source, "program.py", "exec"), self.names)
        found = {name: value for name, value in self.names.items() if type(name) is str and name[:2] != "__"}
        return {name: value for name, value in found.items() if self.can_travel(value)}

    def can_travel(self, value: object) -> bool:
        try:
            encode(value, self.refer)
        except CannotTravel:
            return False
        return True

    def evaluate(self, request: object) -> object:
        return eval(compile(str(request), "input", "eval"), self.names)

    def obey(self, request: Any) -> object:
        match request:
            case ("call", number, args, options):
                before = [(key, value, encode(value, self.refer)) for key, value in self.mutable(args, options)]
                try:
                    return self.objects[number](*args, **options)  # type: ignore[operator]
                finally:
                    for key, value, old in before:
                        if encode(value, self.refer) != old:
                            self.changed.append((key, value))
            case ("get", number, name):
                return getattr(self.objects[number], name)
            case ("set", number, name, value):
                return setattr(self.objects[number], name, value)
            case ("special", number, name, args):
                return _special(self.objects[number], name, args)
            case _:
                raise ValueError("no such request")

    def mutable(self, args: tuple[object, ...], options: dict[str, object]) -> list[tuple[object, object]]:
        every = [*enumerate(args), *options.items()]
        return [(key, value) for key, value in every if type(value) in _MUTABLE]

    def refer(self, value: object) -> Remote:
        if hasattr(type(value), "__await__"):
            raise CannotTravel("a coroutine")
        number = self.numbers.get(id(value))
        if number is None:
            number = self.numbers[id(value)] = len(self.objects)
            self.objects.append(value)  # kept alive, so that ids stay unique
        return Remote(number, _kind(value), _name(value), _shown(value), _abilities(value))

    def resolve(self, remote: Remote) -> object:
        return self.objects[remote.number]

    def reply(self, act: Callable[[], object]) -> None:
        self.printed, self.changed = io.StringIO(), []
        real, sys.stdout = sys.stdout, self.printed
        try:
            value = act()
            outcome = encode(("ok", value, self.changed, self.printed.getvalue()), self.refer)
        except CannotTravel as error:
            outcome = encode(("stays", str(error)))
        except BaseException as error:  # noqa: BLE001  what the program raises is what the tests shall see
            outcome = self.failure(error)
        finally:
            sys.stdout = real
        self.write(outcome)

    def failure(self, error: BaseException) -> bytes:
        names = tuple(kind.__name__ for kind in type(error).__mro__)
        try:
            shown = str(error)
        except Exception:  # noqa: BLE001  the program's own `__str__`
            shown = ""
        args: object = error.args
        try:
            encode(args)
        except CannotTravel:
            args = (shown,)
        try:
            changed: list[tuple[object, object]] = self.changed
            return encode(("raised", names, args, shown, changed, self.printed.getvalue()), self.refer)
        except CannotTravel:
            return encode(("raised", names, args, shown, (), ""), self.refer)

    def read(self) -> object:
        size = int.from_bytes(self.take(8), "big")
        return decode(self.take(size), self.resolve) if size else None

    def take(self, size: int) -> bytes:
        parts: list[bytes] = []
        while size:
            part = os.read(self.requests, min(size, 1 << 16))
            if not part:
                os._exit(0)
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def write(self, data: bytes) -> None:
        data = len(data).to_bytes(8, "big") + data
        while data:
            data = data[os.write(self.replies, data) :]


def _kind(value: object) -> str:
    if isinstance(value, type):
        return "exception" if issubclass(value, BaseException) else "class"
    if isinstance(value, type(sys)):
        return "module"
    if hasattr(type(value), "__next__"):
        return "iterator"
    return "function" if callable(value) and hasattr(value, "__name__") else "object"


def _name(value: object) -> str:
    return str(getattr(value, "__name__", type(value).__name__))


def _shown(value: object) -> str:
    return "" if callable(value) or isinstance(value, type(sys)) else f"{type(value).__name__} object"


def _abilities(value: object) -> tuple[str, ...]:
    if isinstance(value, type):
        return tuple(kind.__name__ for kind in value.__mro__)
    kind = type(value)
    return tuple(
        name
        for name in _ABILITIES
        if getattr(kind, name, None) is not None and getattr(kind, name) is not getattr(object, name, None)
    )


def _special(target: object, name: str, args: tuple[object, ...]) -> object:
    result = getattr(type(target), name)(target, *args)
    if result is NotImplemented:
        raise TypeError(
            f"{name} is not defined between {type(target).__name__} and {[type(it).__name__ for it in args]}"
        )
    return result
