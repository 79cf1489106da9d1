"""Running a template that nobody vouches for: in this process, on any thread, within bounds.

Jinja's immutable sandbox keeps a template from reaching Python; it does not keep it from `'a' * 10**9` or from ten
nested loops. Here every expression that can make a value larger than those it was given is charged to a `Budget`
before or as it is computed, and so is every loop step and call: work and memory end when the budget does. What stays
uncharged (comparisons, tests) costs at most what the budget has let exist, and the time is looked at again right
after. Filters, methods and statements are those on a list; it holds what published chat templates use. Nothing is
started and nothing killed: the price is microseconds.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from itertools import chain
from typing import Any, cast

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension
from jinja2.filters import FILTERS
from jinja2.loaders import BaseLoader
from jinja2.parser import Parser
from jinja2.runtime import Context, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

MAX_RANGE = 10_000
MAX_INT_BITS = 4096
MAX_INDENT = 64
UNITS_PER_LOOK = 20
"""The clock is looked at after as many units: looking costs more than most of what is charged."""

_METHODS = frozenset({
    "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "partition", "rpartition", "removeprefix",
    "removesuffix", "startswith", "endswith", "find", "rfind", "index", "rindex", "count", "upper", "lower", "title",
    "capitalize", "replace", "join", "format", "isdigit", "isdecimal", "isnumeric", "isalpha", "isalnum", "isspace",
    "isupper", "islower", "items", "keys", "values", "get", "cycle", "changed",
})  # fmt: skip
_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "e", "escape", "first", "float", "int", "items", "last",
    "length", "list", "lower", "map", "max", "min", "reject", "rejectattr", "reverse", "round", "safe", "select",
    "selectattr", "sort", "title", "trim", "unique", "upper",
)  # fmt: skip
_NODES = (
    nodes.Template, nodes.Output, nodes.For, nodes.If, nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.With,
    nodes.Assign, nodes.AssignBlock, nodes.Scope, nodes.Continue, nodes.Break, nodes.Expr, nodes.Pair, nodes.Keyword,
    nodes.Operand,
)  # fmt: skip
_FORMAT_FIELD = re.compile(r"%[^a-zA-Z%]*(\d{3,}|\*)|\{[^{}]*:[^{}]*(\d{3,}|\{)")


class TemplateRefusal(TemplateError):
    """The template itself says that it cannot render these messages (`raise_exception`)."""


class OverBudget(TemplateError):
    """The template asked for more work, memory or time than it may have."""


class Forbidden(TemplateError):
    """The template uses what no chat template needs."""


@dataclass(slots=True)
class Budget:
    """What one rendering may cost: `units` of characters made, elements made and steps taken; `seconds` of this
    thread's work.
    """

    units: int
    seconds: float
    _until: float = field(init=False)
    _units_at_last_look: int = field(init=False)

    def __post_init__(self) -> None:
        self._until = time.thread_time() + self.seconds
        self._units_at_last_look = self.units

    def charge(self, units: int) -> None:
        """Raises: OverBudget."""
        self.units -= units
        if self.units < 0:
            raise OverBudget("the template makes too much text or takes too many steps")
        if self._units_at_last_look - self.units < UNITS_PER_LOOK:
            return
        self._units_at_last_look = self.units
        if time.thread_time() > self._until:
            raise OverBudget(f"the template takes longer than {self.seconds:g} s")

    def charge_value(self, value: object, *, is_text: bool = False) -> None:
        """Charge the size of `value` as a tree: what comparing, copying or printing it costs. `is_text` refuses what
        has no text.

        Raises: OverBudget, Forbidden.
        """
        stack: list[Iterator[object]] = [iter((value,))]
        while stack:
            for item in stack[-1]:
                self.charge(_own_size(item, is_text))
                if isinstance(item, list | tuple):
                    stack.append(iter(cast("Iterable[object]", item)))
                    break
                if isinstance(item, Mapping):
                    stack.append(chain.from_iterable(cast("Mapping[object, object]", item).items()))
                    break
            else:
                stack.pop()


def _own_size(item: object, is_text: bool) -> int:
    if isinstance(item, str):
        return 1 + len(item)
    if isinstance(item, int) and item.bit_length() > MAX_INT_BITS:
        raise OverBudget("the template makes a number that is too large")
    if is_text and not isinstance(item, int | float | list | tuple | Mapping | Undefined | None):
        raise Forbidden(f"the template prints an object of type {type(item).__name__}")
    return 1


current_budget: ContextVar[Budget] = ContextVar("current_budget")


def _charge(units: int) -> None:
    current_budget.get().charge(units)


def _text(value: object) -> str:
    """`str(value)`, charged first."""
    current_budget.get().charge_value(value, is_text=True)
    return str(value)


def _concat(parts: Iterable[str]) -> str:
    kept: list[str] = []
    for part in parts:
        _charge(1 + len(part))
        kept.append(part)
    return "".join(kept)


def _weighed(value: Any) -> Any:
    current_budget.get().charge_value(value)
    return value


def _steps(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        _charge(1)
        yield value


def _join(values: Iterable[Any], d: str = "", attribute: str | int | None = None) -> str:
    if attribute is not None:
        raise Forbidden("the template joins by attribute")
    texts = [_text(value) for value in _steps(values)]
    _charge(len(d) * len(texts))
    return d.join(texts)


def _replace(s: object, old: object, new: object, count: int | None = -1) -> str:
    text, before, after = _text(s), _text(old), _text(new)
    count = -1 if count is None else count
    n_found = text.count(before) if count < 0 else min(count, text.count(before))
    _charge(len(text) + n_found * len(after))
    return text.replace(before, after, count)


def _indent(s: object, width: int | str = 4, first: bool = False, blank: bool = False) -> str:
    pad = width if isinstance(width, str) else " " * min(width, MAX_INDENT)
    lines = _text(s).splitlines(keepends=True)
    _charge(len(pad) * len(lines))
    padded = (pad + line if (n or first) and (blank or line.strip()) else line for n, line in enumerate(lines))
    return "".join(padded)


def _tojson(
    value: object,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """As `transformers` has it: no HTML escapes, and characters as they are."""
    current_budget.get().charge_value(value, is_text=True)
    indent = None if indent is None else min(indent, 8)
    text = json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    _charge(len(text))
    return text


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_RANGE:
        raise OverBudget(f"the template counts to more than {MAX_RANGE}")
    return numbers


def _strftime_now(format: str) -> str:
    if len(format) > 64 or re.search(r"\d{2}", format):
        raise Forbidden(f"the template asks for a strange date: {format[:80]!r}")
    return time.strftime(format)


def _raise_exception(message: object = "") -> str:
    raise TemplateRefusal(_text(message)[:500])


def _guarded_filter(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same filter; what it gives is charged, and a lazy result becomes a list."""

    @wraps(function)
    def guarded(*args: Any, **options: Any) -> Any:
        result = function(*args, **options)
        if isinstance(result, Iterator):
            result = list(_steps(cast("Iterator[Any]", result)))
        return _weighed(result)

    return guarded


class _Guards(NodeTransformer):
    """Puts a guard around what makes values without passing through the environment. Filters' names cannot be
    shadowed.
    """

    def __init__(self, environment: ChatEnvironment) -> None:
        self.environment = environment

    def generic_visit(self, node: nodes.Node, *args: Any, **options: Any) -> nodes.Node:
        if not isinstance(node, _NODES):
            raise Forbidden(f"the template uses the statement {type(node).__name__}")
        return super().generic_visit(node, *args, **options)

    def _filtered(self, node: nodes.Node, name: str) -> nodes.Filter:
        return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno, environment=self.environment)

    def visit_For(self, node: nodes.For) -> nodes.Node:
        if node.recursive:
            raise Forbidden("the template uses a recursive loop")
        self.generic_visit(node)
        node.iter = cast("nodes.Expr", self._filtered(node.iter, "_steps"))
        return node

    def _visit_made(self, node: nodes.Expr) -> nodes.Node:
        self.generic_visit(node)
        return node if getattr(node, "ctx", "load") != "load" else self._filtered(node, "_weighed")

    visit_List = visit_Tuple = visit_Dict = _visit_made

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        return self._filtered(node, "_weighed") if isinstance(node.arg, nodes.Slice) else node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        parts = nodes.List(node.nodes, lineno=node.lineno, environment=self.environment)
        return self._filtered(parts, "join")


class _GenerationBlock(Extension):
    """`{% generation %}` marks what training learns from; here it is its content."""

    tags = {"generation"}  # noqa: RUF012  the base class types it so

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class ChatEnvironment(ImmutableSandboxedEnvironment):
    """Jinja as chat templates expect it (`transformers`' settings), with every cost charged to `current_budget`."""

    intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            finalize=_text,
            extensions=["jinja2.ext.loopcontrols", _GenerationBlock],
            loader=cast("BaseLoader | None", None),
            cache_size=0,
        )
        self.concat = _concat
        kept = {name: _guarded_filter(FILTERS[name]) for name in _FILTERS}
        own = {"join": _join, "replace": _replace, "indent": _indent, "tojson": _tojson, "string": _text}
        self.filters = {**kept, **own, "_weighed": _weighed, "_steps": _steps}
        self.globals = {
            "range": _range,
            "dict": dict,
            "namespace": self.globals["namespace"],
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
        }

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        return cast("nodes.Template", _Guards(self).visit(tree))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return super().is_safe_attribute(obj, attr, value) and (not callable(value) or attr in _METHODS)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        formatted = super().wrap_str_format(value)
        if formatted is None:
            return None
        pattern: str = value.__self__

        def guarded(*args: Any, **options: Any) -> str:
            _check_format(pattern, (args, options))
            return formatted(*args, **options)

        return guarded

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "%" and isinstance(left, str):
            _check_format(left, right)
        elif operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "+":
            _weighed((left, right))
        return _weighed(super().call_binop(context, operator, left, right))

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        self, function = __self, __obj
        _weighed((args, kwargs))
        owner, name = getattr(function, "__self__", None), getattr(function, "__name__", "")
        if isinstance(owner, str) and name in ("replace", "join"):
            return _join(*args, d=owner) if name == "join" else _replace(owner, *args, **kwargs)
        result = super(ChatEnvironment, self).call(__context, function, *args, **kwargs)
        if isinstance(owner, Mapping) and name in ("items", "keys", "values"):
            result = list(cast("Iterable[Any]", result))
        return _weighed(result)


def _check_format(pattern: str, values: object) -> None:
    if _FORMAT_FIELD.search(pattern):
        raise OverBudget("the template formats to a great width")
    current_budget.get().charge_value((pattern, values), is_text=True)


def _check_product(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, str | list | tuple) and isinstance(other, int):
            size = len(cast("str | list[Any]", one))
            _charge(size * max(0, other))
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() + right.bit_length())


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int):
        _check_bits(left.bit_length() * abs(right))


def _check_bits(n_bits: int) -> None:
    if n_bits > MAX_INT_BITS:
        raise OverBudget("the template makes a number that is too large")
