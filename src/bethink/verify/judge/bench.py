"""Runs inside the sandbox: the tests, in a process that the program under test never enters.

Speaks with the host in frames of one letter and a body: C a request for the program, N the name of the test that
begins, V the verdict, the last one.
"""

from __future__ import annotations

import builtins
import io
import os
import sys
import types

from bethink.verify.judge.pytest_words import install
from bethink.verify.judge.remote import Gone, Module, RemoteClass, RemoteFunction, Unsure, Wire, read_frame, short
from bethink.verify.judge.values import encode

TYPE_CHECKING = False
if TYPE_CHECKING:  # spelled out, because importing `typing` would take most of the start
    from collections.abc import Callable
    from typing import Any


def main(argument: tuple[Any, ...]) -> None:
    """`argument`: code, functions, classes, wants_candidate, used, modules (see `suite.Suite`), and the entry point
    or ''."""
    requests, replies = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1):
        os.dup2(null, fd)
    sys.stdout = io.StringIO()

    def say(tag: bytes, body: bytes) -> None:
        data = (len(body) + 1).to_bytes(8, "big") + tag + body
        while data:
            data = data[os.write(replies, data) :]

    wire = Wire(lambda data: say(b"C", data), lambda: read_frame(requests))
    bench = _Bench(wire, lambda name: say(b"N", name.encode("utf-8", "replace")))
    passed, why = bench.judge(*argument)
    say(b"V", encode((passed, why)))
    os._exit(0)


class _Failed(Exception):
    """A test did not hold, with the words for it."""


class _Bench:
    def __init__(self, wire: Wire, begin: Callable[[str], None]) -> None:
        self.wire, self.begin = wire, begin
        self.names: dict[str, Any] = {}

    def judge(
        self,
        code: types.CodeType,
        functions: tuple[str, ...],
        classes: tuple[tuple[str, bool], ...],
        wants_candidate: bool,
        used: tuple[str, ...],
        modules: tuple[str, ...],
        entry_point: str,
    ) -> tuple[bool | None, str]:
        """Whether the tests passed, and why or why not."""
        offered: dict[str, object] = {}
        install()
        try:
            offered = self.load()
            self.furnish(offered, used, modules)
            self.run("", lambda: exec(code, self.names))
            if wants_candidate:
                candidate = self.candidate(offered, entry_point)
                self.run("check", lambda: self.names["check"](candidate))
            for name in functions:
                self.run(name, self.names[name])
            for name, is_unittest in classes:
                (self.run_unittest if is_unittest else self.run_class)(name)
        except _Failed as failed:
            return self.troubled() or (False, str(failed))
        except (Unsure, Gone):
            pass
        return self.troubled() or self.concluded(offered, used)

    def troubled(self) -> tuple[bool | None, str] | None:
        match self.wire.trouble:
            case Unsure() as error:
                return None, f"cannot be checked: {error}"
            case Gone() as error:
                return False, f"{error}{f', in {self.wire.last}' if self.wire.last else ''}"
            case _:
                return None

    def concluded(self, offered: dict[str, object], used: tuple[str, ...]) -> tuple[bool | None, str]:
        is_idle = RemoteFunction, RemoteClass, Module  # to name one is not yet to use it
        values = {name for name, value in offered.items() if not isinstance(value, is_idle)}
        if not self.wire.n_calls and not set(used) & values:
            return None, "cannot be checked: the tests use nothing of the program"
        return True, "all tests passed"

    def load(self) -> dict[str, object]:
        """What the program offers, once it has run."""
        try:
            value, _ = self.wire.reply()
        except (Unsure, Gone):
            raise
        except BaseException as error:  # noqa: BLE001  whatever the program raised
            raise _Failed(f"error: the program raised {_told(error)} before any test") from None
        if type(value) is not dict:
            raise self.wire.gone("the program sent no names")
        self.wire.is_loaded = True
        return value  # pyright: ignore[reportUnknownVariableType]  its keys are the names that `candidate` sends

    def furnish(self, offered: dict[str, object], used: tuple[str, ...], modules: tuple[str, ...]) -> None:
        """Give the tests the program's names. Never a builtin's, nor a module's of the standard library: a program that
        replaced `abs` or `math` would judge itself."""
        taken = sorted(name for name in offered if name in used and hasattr(builtins, name))
        if taken:
            raise self.wire.unsure(f"the program replaces the builtin {taken[0]}, which the tests use")
        for name, value in offered.items():
            if isinstance(value, Module):
                value = _standard_module(value.name)
            if value is not None and not hasattr(builtins, name):
                self.names[name] = value
        self.names.update({name: _standard_module(name) for name in modules})
        helpers = {"_bethink_failed": self.failed, "_bethink_AssertionError": AssertionError}
        self.names.update(helpers, __name__="tests", __builtins__=builtins)

    def candidate(self, offered: dict[str, object], entry_point: str) -> object:
        functions = [it for it in offered.values() if isinstance(it, RemoteFunction)]
        if entry_point:
            if entry_point not in offered:
                raise _Failed(f"error: the program defines no {entry_point}")
            return offered[entry_point]
        if len(functions) != 1:
            raise self.wire.unsure("check(candidate) is defined and nothing calls it: add a line check(NAME)")
        return functions[0]

    def failed(self, shown: str, message: object, *seen: object) -> str:
        words = [f"assert {shown}"]
        if seen:
            words.append(
                f"got {short(seen[0])}, expected {short(seen[1])}"
                if " == " in shown
                else f"got {short(seen[0])} and {short(seen[1])}"
            )
        elif self.wire.last:
            words.append(self.wire.last)
        return ": ".join(words) + (f" ({message})" if message is not None else "")

    def run(self, name: str, test: Callable[[], object]) -> None:
        self.begin(name)
        try:
            test()
        except (Unsure, Gone):
            raise
        except ImportError as error:
            if not getattr(error, "__notes__", None):  # the tests' own
                raise self.wire.unsure(f"the tests need what is not here: {error}") from None
            raise _Failed(f"{name}: {_told(error)}" if name else _told(error)) from None
        except BaseException as error:  # noqa: BLE001  a test may raise anything; only coming to its end is passing
            if not getattr(error, "__notes__", None):
                self.refuse_narrowed(_told(error))
            raise _Failed(f"{name}: {_told(error)}" if name else _told(error)) from None
        if self.wire.trouble:
            raise self.wire.trouble

    def refuse_narrowed(self, told: str) -> None:
        """A test that fails because it saw a builtin where the program returned more than that shows nothing.

        Raises: Unsure.
        """
        is_of_type = told.startswith(("AttributeError", "KeyError", "TypeError")) or (
            told.startswith("assert ") and ("isinstance(" in told or "type(" in told)
        )
        if self.wire.narrowed and is_of_type:
            raise self.wire.unsure(
                f"the program returned a {self.wire.narrowed}, and only its content is seen ({told})"
            )

    def run_class(self, name: str) -> None:
        kind = self.names[name]
        for method in [it for it in dir(kind) if it.startswith("test")]:
            thing = kind()
            for step in ("setup_method", method, "teardown_method"):
                if hasattr(thing, step):
                    self.run(f"{name}.{method}", getattr(thing, step))

    def run_unittest(self, name: str) -> None:
        import unittest

        self.begin(name)
        result = unittest.TestResult()
        unittest.defaultTestLoader.loadTestsFromTestCase(self.names[name]).run(result)
        if self.wire.trouble:
            raise self.wire.trouble
        bad = [*result.failures, *result.errors]
        if bad:
            case, trace = bad[0]
            self.refuse_narrowed(trace.strip().splitlines()[-1])
            raise _Failed(f"{case.id().removeprefix('tests.')}: {trace.strip().splitlines()[-1]}{self.after()}")
        if result.skipped:
            raise self.wire.unsure(f"{result.skipped[0][0].id().removeprefix('tests.')} was skipped")

    def after(self) -> str:
        return f" ({self.wire.last})" if self.wire.last else ""


def _told(error: BaseException) -> str:
    if isinstance(error, AssertionError) and error.args and str(error).startswith("assert "):
        return str(error)
    words = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if getattr(error, "__notes__", None):
        return f"{words} (raised by the program)"
    return words


def _standard_module(name: str) -> object:
    if name.partition(".")[0] not in sys.stdlib_module_names:
        return None
    try:
        __import__(name)
    except ImportError:
        return None
    return sys.modules[name]
