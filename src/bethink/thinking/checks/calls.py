"""Calls of a function with literal arguments: those a question gives as examples, and those a model writes as inputs.

Reads text, runs nothing. Whatever the text, what comes out is Python that calls one named function with plain values.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, cast

from bethink.verify.code import extract_program

MAX_INPUTS = 16
MAX_CALL_CHARS = 400
MAX_LINES = 400
MAX_EXAMPLES = 40
MAX_SHOWN = 3

_DEF = re.compile(r"^[ \t]*(?:async[ \t]+)?def[ \t]+([A-Za-z_]\w*)[ \t]*\(", re.MULTILINE)
_NAMED = re.compile(r"\b(?:function|method)\s+(?:(?:called|named)\s+)?[`'\"]?([A-Za-z_]\w*)[`'\"]?\s*\(")
_CALLED = re.compile(r"\b(?:called|named)\s+[`'\"]?([A-Za-z_]\w*)")
_QUOTED = re.compile(r"`([A-Za-z_]\w*)\(")


def name_in_question(question: str) -> str | None:
    """The function that a question asks for: of a stub the last that it defines, else the one that it names."""
    if stubs := _DEF.findall(question):
        return stubs[-1]
    for pattern in (_NAMED, _CALLED, _QUOTED):
        if match := pattern.search(question):
            return match[1]
    called = Counter(name for name, _, _ in _shown(question))
    return called.most_common(1)[0][0] if called else None


def name_in_programs(programs: Sequence[str]) -> str | None:
    """The function that most programs define; of several, the one that the first of them defines last."""
    defined = [list(dict.fromkeys(_top_functions(program))) for program in programs]
    counts = Counter(name for names in defined for name in names)
    if not counts:
        return None
    most = max(counts.values())
    return next(name for names in defined for name in reversed(names) if counts[name] == most)


def preamble(question: str, name: str) -> str:
    """What stands before the function in the stub of a question: its imports, and what it may call."""
    stub = extract_program(question, entry_point=name)
    if stub is None or not (heads := [m for m in _DEF.finditer(stub) if m[1] == name]):
        return ""
    head = stub[: heads[-1].start()].strip()
    return f"{head}\n\n" if head and _tree(head) else ""


def signature(programs: Sequence[str], name: str) -> str:
    """The head of the function as the first program that defines it has it."""
    for program in programs:
        for node in ast.parse(program).body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
                return f"{name}({ast.unparse(node.args)})"
    return f"{name}(…)"


def examples(question: str, name: str) -> tuple[str, ...]:
    """The examples of a question as assertions: `>>> f(2)` with the value below it, and lines that assert.

    Only calls of `name` with literal arguments, and plain values: what is more than that may hold in a session that is
    not shown.
    """
    found = [
        f"assert {call} == {_expected(value)}" if is_equal else call
        for its_name, call, (value, is_equal) in _shown(question)
        if its_name == name
    ]
    return tuple(dict.fromkeys(found))[:MAX_EXAMPLES]


def calls(text: str, name: str, known: Sequence[str] = ()) -> tuple[str, ...]:
    """The calls of `name` in what a model wrote, one a line at most, each once and none of `known`."""
    made: dict[str, None] = {}
    for line in text.splitlines()[:MAX_LINES]:
        call = _call_in(line[: 4 * MAX_CALL_CHARS], name)
        if call is not None and call not in known:
            made[call] = None
        if len(made) == MAX_INPUTS:
            break
    return tuple(made)


def given_calls(assertions: Sequence[str]) -> tuple[str, ...]:
    """The calls that the assertions of `examples` make."""
    nodes = [node for assertion in assertions for node in ast.walk(ast.parse(assertion))]
    return tuple(dict.fromkeys(ast.unparse(node) for node in nodes if _is_literal_call(node)))


def beginning(name: str, given: Sequence[str]) -> str:
    """How a list of calls begins: small models go on as they are shown, down to the bracket of the first argument."""
    firsts = {call[len(name) + 1 : len(name) + 2] for call in given}
    bracket = firsts.pop() if len(firsts) == 1 else ""
    shown = "".join(f"{call}\n" for call in given[:MAX_SHOWN])
    return f"```python\n{shown}{name}({bracket if bracket in ('[', '{') else ''}"


def like(made: Sequence[str], given: Sequence[str]) -> tuple[str, ...]:
    """Those whose arguments are of the kinds that the examples have, where there are examples and some are."""
    kinds = {_kinds(call) for call in given}
    alike = [call for call in made if _kinds(call) in kinds]
    return tuple(alike or made)


def _kinds(call: str) -> tuple[str, ...]:
    """What each argument is: a number, a text, a sequence, or its type."""
    node = ast.parse(call, mode="eval").body
    assert isinstance(node, ast.Call)
    values = [ast.literal_eval(it) for it in [*node.args, *(keyword.value for keyword in node.keywords)]]
    kinds = {"bool": "number", "int": "number", "float": "number", "tuple": "list"}
    return tuple(kinds.get(name := type(value).__name__, name) for value in values)


def _call_in(line: str, name: str) -> str | None:
    """The first call of `name` with literal arguments in a line, whatever stands around it."""
    for start in re.finditer(rf"(?<![\w.]){re.escape(name)}\(", line):
        for end in re.finditer(r"\)", line[start.start() : start.start() + MAX_CALL_CHARS]):
            node = _tree(line[start.start() : start.start() + end.end()], "eval")
            if isinstance(node, ast.Expression):
                if _is_literal_call(node.body):
                    return ast.unparse(node)
                break
    return None


def _shown(question: str) -> list[tuple[str, str, tuple[Any, bool]]]:
    """(function, call or whole assertion, (value, whether the call shall equal it)) of every example."""
    return [*_doctests(question), *_assertions(question)]


def _doctests(question: str) -> list[tuple[str, str, tuple[Any, bool]]]:
    found: list[tuple[str, str, tuple[Any, bool]]] = []
    lines = [line.strip() for line in question.splitlines()]
    for at, line in enumerate(lines[:-1]):
        if not line.startswith(">>> ") or len(line) > MAX_CALL_CHARS:
            continue
        call = _tree(line[4:].strip(), "eval")
        value = _literal(lines[at + 1])
        is_told = value is not _NONE and not (at + 2 < len(lines) and lines[at + 2].startswith("..."))
        if isinstance(call, ast.Expression) and (its_name := _is_literal_call(call.body)) and is_told:
            found.append((its_name, ast.unparse(call), (value, True)))
    return found


def _assertions(question: str) -> list[tuple[str, str, tuple[Any, bool]]]:
    found: list[tuple[str, str, tuple[Any, bool]]] = []
    for line in question.splitlines():
        text = line.strip().removeprefix(">>> ").strip("`")
        tree = _tree(text) if text.startswith("assert ") and len(text) <= MAX_CALL_CHARS else None
        if not isinstance(tree, ast.Module) or len(tree.body) != 1 or not isinstance(tree.body[0], ast.Assert):
            continue
        match tree.body[0].test:
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]) if its_name := _is_literal_call(left):
                value = _literal(ast.unparse(right))
                if value is not _NONE:
                    found.append((its_name, ast.unparse(left), (value, True)))
            case ast.Compare(left=left, ops=[ast.Is()], comparators=[ast.Constant()]) if its_name := (
                _is_literal_call(left)
            ):
                found.append((its_name, f"assert {ast.unparse(tree.body[0].test)}", (None, False)))
            case ast.UnaryOp(op=ast.Not(), operand=test) | test:
                if its_name := _is_literal_call(test):
                    found.append((its_name, f"assert {ast.unparse(tree.body[0].test)}", (None, False)))
    return found


_NONE = object()


def _literal(text: str) -> Any:
    """The value, or `_NONE` where the text is not one."""
    try:
        return ast.literal_eval(text) if text and len(text) <= MAX_CALL_CHARS else _NONE
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return _NONE


def _expected(value: object) -> str:
    """What an assertion compares with: numbers that were written down rounded are met nearly."""
    written = repr(value)
    listed = cast("Sequence[object]", value) if isinstance(value, list | tuple) else (value,)
    is_near = any(isinstance(it, float) for it in listed) and all(map(_is_number, listed))
    return f"pytest.approx({written})" if is_near else written


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_literal_call(node: ast.AST) -> str:
    """The name of the function, or empty when this is no call of a name with literal arguments."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return ""
    arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
    is_plain = all(keyword.arg for keyword in node.keywords) and all(map(_is_literal, arguments))
    return node.func.id if is_plain else ""


def _is_literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return False
    return True


def _top_functions(program: str) -> list[str]:
    tree = _tree(program)
    body = tree.body if isinstance(tree, ast.Module) else []
    return [node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _tree(text: str, mode: str = "exec") -> ast.AST | None:
    try:
        return ast.parse(text, mode=mode)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
