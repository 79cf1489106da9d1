"""The tests as they will be run: which functions and classes hold them, and asserts that say what came out.

Reads source with `ast`, runs nothing.
"""

from __future__ import annotations

import ast
import sys
import types
from dataclasses import dataclass

MAX_CHARS = 1_000_000
_PYTEST_WORDS = ("raises", "approx")


class UnreadableTests(ValueError):
    """The tests are no Python. Says where."""


@dataclass(frozen=True, slots=True)
class Suite:
    """`functions` and `classes` hold tests that the module does not call itself. `used` are the names that it takes
    from elsewhere. `needs` says what it asks for that the bench has not, or is empty."""

    code: types.CodeType
    functions: tuple[str, ...]
    classes: tuple[tuple[str, bool], ...]
    """Name, and whether it is unittest's."""
    wants_candidate: bool
    """Whether there is a `check(candidate)` that nobody calls."""
    used: tuple[str, ...]
    modules: tuple[str, ...]
    """Modules of the standard library that it uses without importing them."""
    needs: str = ""


def read_suite(tests: str, defined: frozenset[str]) -> Suite:
    """`defined`: what the program defines at its top level. Raises: UnreadableTests."""
    if len(tests) > MAX_CHARS:
        raise UnreadableTests(f"{len(tests)} characters of tests are more than {MAX_CHARS}")
    try:
        tree = ast.parse(tests)
        used, modules = _used(tree)
        called = _called_at_top(tree)
        parts = _parts(tree, called)
        tree = ast.fix_missing_locations(_Rewrite(defined).visit(tree))
        code = compile(tree, "tests.py", "exec", dont_inherit=True)
    except SyntaxError as error:
        raise UnreadableTests(f"line {error.lineno}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnreadableTests(str(error) or type(error).__name__) from None
    functions, classes, wants_candidate, needs = parts
    needs = needs or _missing_words(tree)
    return Suite(code, functions, classes, wants_candidate, used, modules, needs)


def defined_names(program: str) -> frozenset[str]:
    """What a program defines at its top level, as far as its text says. Empty when it is no Python."""
    try:
        body = ast.parse(program).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    names: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {it.id for target in node.targets for it in ast.walk(target) if isinstance(it, ast.Name)}
    return frozenset(names)


def _used(tree: ast.Module) -> tuple[tuple[str, ...], tuple[str, ...]]:
    nodes = list(ast.walk(tree))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    stored = {node.id for node in names if not isinstance(node.ctx, ast.Load)}
    used = {node.id for node in names} - stored
    owners = {node.value.id for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)}
    return tuple(sorted(used)), tuple(sorted(owners & used & sys.stdlib_module_names))


def _called_at_top(tree: ast.Module) -> set[str]:
    definitions = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    top = [node for node in tree.body if not isinstance(node, definitions) and not _is_main_guard(node)]
    calls = [node for statement in top for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return {node.func.id for node in calls if isinstance(node.func, ast.Name)}


def _missing_words(tree: ast.Module) -> str:
    """Which word of pytest the tests use that the bench has not."""
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    words = [it.attr for it in attributes if isinstance(it.value, ast.Name) and it.value.id == "pytest"]
    for word in words:
        if word not in _PYTEST_WORDS:
            return f"the tests use pytest.{word}, and only {' and '.join(_PYTEST_WORDS)} are known here"
    return ""


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and any(
        isinstance(it, ast.Name) and it.id == "__name__" for it in ast.walk(node.test)
    )


def _parts(tree: ast.Module, called: set[str]) -> tuple[tuple[str, ...], tuple[tuple[str, bool], ...], bool, str]:
    functions: list[str] = []
    classes: list[tuple[str, bool]] = []
    wants_candidate, needs = False, ""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name not in called:
            n_needed = len(node.args.posonlyargs + node.args.args) - len(node.args.defaults)
            if node.name == "check" and n_needed == 1:
                wants_candidate = True
            elif node.name.startswith("test") or (node.name == "check" and not n_needed):
                functions.append(node.name)
                if isinstance(node, ast.AsyncFunctionDef):
                    needs = f"{node.name} is asynchronous"
                elif n_needed:
                    needs = f"{node.name} wants arguments (fixtures and parameters are not known here)"
        elif isinstance(node, ast.ClassDef):
            is_unittest = any(ast.unparse(base).rpartition(".")[2].endswith("TestCase") for base in node.bases)
            if is_unittest or node.name.startswith("Test"):
                classes.append((node.name, is_unittest))
    return tuple(functions), tuple(classes), wants_candidate, needs


class _Rewrite(ast.NodeTransformer):
    """Asserts that tell what they saw; imports of the program by whatever name the tests give it left out."""

    def __init__(self, defined: frozenset[str]) -> None:
        self._defined = defined

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.stmt:
        root = (node.module or "").partition(".")[0]
        is_program = bool(node.names) and all(it.name in self._defined and it.asname is None for it in node.names)
        is_program = is_program and root != "pytest" and root not in sys.stdlib_module_names
        return ast.copy_location(ast.Pass(), node) if is_program and not node.level else node

    def visit_Expr(self, node: ast.Expr) -> ast.stmt:
        if isinstance(node.value, ast.Call) and ast.unparse(node.value.func) in ("unittest.main", "pytest.main"):
            return ast.copy_location(ast.Pass(), node)
        self.generic_visit(node)
        return node

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        shown = ast.Constant(ast.unparse(node.test)[:300])
        message: list[ast.expr] = [node.msg] if node.msg is not None else [ast.Constant(None)]
        first: list[ast.stmt] = []
        seen: list[ast.expr] = []
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            left, right = _name("_left"), _name("_right")
            first = [_assign("_left", test.left), _assign("_right", test.comparators[0])]
            test = ast.Compare(left, test.ops, [right])
            seen += [_name("_left"), _name("_right")]
        failed = ast.Call(_name("_failed"), [shown, *message, *seen], [])
        raised = ast.Raise(ast.Call(_name("_AssertionError"), [failed], []), None)
        new: list[ast.stmt] = [*first, ast.If(ast.UnaryOp(ast.Not(), test), [raised], [])]
        return [ast.copy_location(it, node) for it in new]


def _name(name: str) -> ast.Name:
    return ast.Name(f"_bethink{name}", ast.Load())


def _assign(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(f"_bethink{name}", ast.Store())], value)
