"""Programs are judged by the values they give, and by nothing else that they do."""

# ruff: noqa: E501  a hostile program is easier to read in one line

from __future__ import annotations

import pytest

from bethink.verify.code import StdioCase, check_code, check_stdio
from bethink.verify.sandbox import Limits, Sandbox

GOOD = "def f(xs, k):\n    return sorted(xs)[:k]\n"
HUMAN_EVAL = """
METADATA = {}
def check(candidate):
    assert candidate([3, 1, 2], 2) == [1, 2]
    assert candidate([], 1) == []
    assert abs(len(candidate([1.5], 1)) - 1) < 1e-6
"""
CALLED = HUMAN_EVAL + "check(f)\n"
QUICK = Limits(cpu_s=2, wall_s=3)


def judged(sandbox: Sandbox, program: str, tests: str) -> tuple[bool | None, str]:
    verdict = check_code(program, tests, sandbox=sandbox, limits=QUICK)
    assert (verdict.kind, verdict.extracted) == ("code", program)
    return verdict.passed, verdict.why


# ---- what tests may look like

PASSING = {
    "HumanEval, called": CALLED,
    "HumanEval, not called": HUMAN_EVAL,
    "asserts": "assert f([2, 1], 1) == [1]\nassert f([], 3) == [], 'empty'",
    "functions": "def test_one():\n    assert f([2, 1], 1) == [1]\n\ndef test_two():\n    assert not f([], 1)",
    "a class": "class TestF:\n    def setup_method(self):\n        self.x = [2, 1]\n    def test_f(self):\n        assert f(self.x, 1) == [1]",
    "unittest": "import unittest\nclass T(unittest.TestCase):\n    def test_f(self):\n        self.assertEqual(f([2, 1], 1), [1])\n"
    "        with self.assertRaises(TypeError):\n            f(1, 2)\n\nif __name__ == '__main__':\n    unittest.main()",
    "imports the program": "from solution import f\nimport math\nassert math.isclose(f([2.0], 1)[0], 2)",
    "a module that nobody imported": "assert math.floor(f([2.5], 1)[0]) == 2",
    "pytest's words": "import pytest\ndef test_f():\n    assert f([2.5], 1) == [pytest.approx(2.5000001)]\n    assert f([2.5], 1) == pytest.approx([2.5])\n"
    "    with pytest.raises(TypeError, match='int') as caught:\n        f(1, 2)\n    assert caught.type is TypeError",
    "exceptions": "try:\n    f(None, 1)\nexcept TypeError as error:\n    assert 'None' in str(error)\nelse:\n    assert False",
}


@pytest.mark.parametrize("tests", PASSING.values(), ids=PASSING.keys())
def test_a_right_program_passes(sandbox: Sandbox, tests: str) -> None:
    assert judged(sandbox, GOOD, tests) == (True, "all tests passed")


@pytest.mark.parametrize("tests", PASSING.values(), ids=PASSING.keys())
def test_a_wrong_program_fails(sandbox: Sandbox, tests: str) -> None:
    passed, why = judged(sandbox, "def f(xs, k):\n    return [0, 0, 0]\n", tests)
    assert passed is False, why


def test_a_failure_says_which_test_and_what_came_out(sandbox: Sandbox) -> None:
    tests = "def test_a():\n    assert f(1) == 2\ndef test_b():\n    assert f(2) == 5, 'two and two'"
    assert judged(sandbox, "def f(x): return x + x", tests) == (
        False,
        "test_b: assert f(2) == 5: got 4, expected 5 (two and two)",
    )
    assert judged(sandbox, "def f(x): return 1 / 0", "assert f(1)")[1] == (
        "ZeroDivisionError: division by zero (raised by the program)"
    )


@pytest.mark.parametrize(
    ("program", "part"),
    [
        ("def f(:", "SyntaxError"),
        ("1 / 0", "the program raised ZeroDivisionError"),
        ("def g(): pass", "defines no f"),
        ("import nothing_of_that_name", "ModuleNotFoundError"),
        ("def f(*a):\n    while True: pass", "timed out in check"),
        ("while True: pass", "timed out"),
        ("def f(*a):\n    x = []\n    while True: x.append(bytes(1 << 24))", "MemoryError"),
        ("def f(*a): return f(*a)", "RecursionError"),
        ("", "defines no f"),
        ("\0", "null bytes"),
    ],
)
def test_errors_are_told(sandbox: Sandbox, program: str, part: str) -> None:
    verdict = check_code(program, HUMAN_EVAL, sandbox=sandbox, limits=Limits(wall_s=2), entry_point="f")
    assert verdict.passed is False
    assert part in verdict.why


@pytest.mark.parametrize(
    ("tests", "part"),
    [
        ("assert f(", "no Python: line 1"),
        ("\0", "no Python"),
        ("", "use nothing of the program"),
        ("assert 1 == 1", "use nothing of the program"),
        ("assert f(lambda x: x, 1)", "of type function cannot be given"),
        ("def test_a(fixture):\n    assert f([], 1) == []", "wants arguments"),
        ("import numpy\nassert f([], 1) == []", "the tests need what is not here: No module named 'numpy'"),
        ("import pytest\n@pytest.fixture\ndef x(): return 1\ndef test_a():\n    assert f([], 1) == []", "pytest"),
        ("async def test_a():\n    assert f([], 1) == []", "asynchronous"),
        ("class TestF:\n    async def test_a(self):\n        assert f([], 1) == []", "use nothing of the program"),
        ("def verify_f():\n    assert f([], 1) == [2]", "use nothing of the program"),
        (
            "def main():\n    assert f([], 1) == [2]\nif __name__ == '__main__':\n    main()",
            "use nothing of the program",
        ),
        ("-" * 100_000 + "1", "no Python"),
    ],
)
def test_what_cannot_be_checked_is_unsure(sandbox: Sandbox, tests: str, part: str) -> None:
    passed, why = judged(sandbox, GOOD, tests)
    assert passed is None
    assert part in why


# ---- values


@pytest.mark.parametrize(
    "value",
    [
        "None", "True", "0", "-(16 ** 5000)", "1.5", "float('inf')", "-0.0", "1e-320", "3 + 4j", "'ü\\ud800\\0'", "b'\\xff'",
        "bytearray(b'x')", "[1, [2, (3, {4})]]", "{'a': {1: None}}", "{(1, 2): frozenset({3})}", "range(1, 9, 3)", "()", "set()",
    ],
)  # fmt: skip
def test_plain_values_travel_both_ways(sandbox: Sandbox, value: str) -> None:
    tests = f"x = {value}\ny = f(x)\nassert y == x and type(y) is type(x)\nassert f({value}) == {value}"
    assert judged(sandbox, "def f(x): return x", tests) == (True, "all tests passed")


def test_a_coroutine_cannot_be_checked(sandbox: Sandbox) -> None:
    tests = "import asyncio\nassert asyncio.run(f()) == 1"
    assert judged(sandbox, "async def f(): return 1", tests) == (
        None,
        "cannot be checked: the program returned a coroutine",
    )


def test_nan_is_not_itself(sandbox: Sandbox) -> None:
    assert judged(sandbox, "def f(x): return x", "x = f(float('nan'))\nassert x != x")[0] is True


def test_subclasses_of_builtins_are_what_they_hold(sandbox: Sandbox) -> None:
    program = (
        "from collections import Counter, OrderedDict, namedtuple\nP = namedtuple('P', 'x y')\n"
        "def f(x): return Counter(x), OrderedDict(a=1), P(1, 2)"
    )
    assert judged(sandbox, program, "assert f('aab') == ({'a': 2, 'b': 1}, {'a': 1}, (1, 2))")[0] is True


@pytest.mark.parametrize(
    ("program", "tests"),
    [
        (
            "from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef f(): return P(1, 2)",
            "assert f().x == 1",
        ),
        ("from collections import Counter\ndef f(): return Counter('aab')", "assert f()['z'] == 0"),
        ("from collections import Counter\ndef f(): return Counter('aab')", "assert f().most_common(1) == [('a', 2)]"),
        ("class L(list):\n    pass\ndef f(): return L([1])", "assert type(f()) is not list"),
        (
            "from enum import IntEnum\nclass C(IntEnum):\n    RED = 1\ndef f(): return [C.RED]",
            "import unittest\nclass T(unittest.TestCase):\n    def test_it(self): self.assertEqual(f()[0].name, 'RED')",
        ),
    ],
)
def test_what_a_subclass_has_beyond_its_content_makes_the_verdict_unsure_not_failed(
    sandbox: Sandbox, program: str, tests: str
) -> None:
    passed, why = judged(sandbox, program, tests)
    assert passed is None
    assert "only its content is seen" in why


def test_wrong_content_of_a_subclass_fails(sandbox: Sandbox) -> None:
    program = "from collections import Counter\ndef f(): return Counter('aab')"
    assert judged(sandbox, program, "assert f() == {'a': 3}")[0] is False
    assert judged(sandbox, "def f(): return 1", "assert f().x == 1")[0] is False


def test_arguments_changed_in_place_are_changed_for_the_tests(sandbox: Sandbox) -> None:
    program = "def f(xs, d, s):\n    xs.sort(); d['k'] = [1]; s.clear()"
    tests = "xs, d, s = [3, 1], {}, {9}\nassert f(xs, d, s=s) is None\nassert (xs, d, s) == ([1, 3], {'k': [1]}, set())"
    assert judged(sandbox, program, tests) == (True, "all tests passed")


def test_objects_stay_where_they_are_and_can_be_used(sandbox: Sandbox) -> None:
    program = """
class Empty(Exception): pass
class Stack:
    size = 9
    def __init__(self): self.items = []
    def push(self, item): self.items.append(item); return self
    def pop(self):
        if not self.items: raise Empty("nothing left")
        return self.items.pop()
    def __len__(self): return len(self.items)
    def __iter__(self): return iter(self.items)
    def __eq__(self, other): return self.items == other.items
    @staticmethod
    def of(*items):
        made = Stack()
        made.items = list(items)
        return made
"""
    tests = """
s = Stack()
assert len(s) == 0 and not s
s.push(1); s.push("b")
assert list(s) == [1, "b"] and s.items == [1, "b"] and s.size == 9
assert s == Stack.of(1, "b") and s != Stack()
assert s.pop() == "b" and isinstance(s, Stack)
s.items = [4]
assert s.pop() == 4
try:
    s.pop()
    assert False
except Empty as error:
    assert str(error) == "nothing left"
"""
    assert judged(sandbox, program, tests) == (True, "all tests passed")


def test_generators_and_closures_can_be_used(sandbox: Sandbox) -> None:
    program = "def f(n):\n    yield from range(n)\ndef g(n):\n    return lambda m: n + m"
    tests = "assert list(f(3)) == [0, 1, 2]\nit = f(2)\nassert next(it) == 0 and next(it) == 1\nassert g(2)(3) == 5"
    assert judged(sandbox, program, tests) == (True, "all tests passed")


def test_what_the_program_prints_can_be_captured_by_tests(sandbox: Sandbox) -> None:
    tests = "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as out:\n    f()\nassert out.getvalue() == 'hi\\n'"
    assert judged(sandbox, "def f(): print('hi')", tests)[0] is True
    assert judged(sandbox, "def f(): print('ho')", tests)[0] is False


# ---- forging

EQUAL_TO_ALL = """
class E:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __hash__(self): return 0
    def __sub__(self, other): return 0.0
    def __rsub__(self, other): return 0.0
    def __abs__(self): return 0.0
    def __lt__(self, other): return True
    def __le__(self, other): return True
    def __len__(self): return 1
    def __contains__(self, other): return True
    def __getattr__(self, name): return lambda *args: E()
    def __bool__(self): return True
"""
FORGERS = {
    "prints passed": "print('passed')\nprint('all tests passed')\ndef f(*a): print('passed')",
    "exits with 0": "import os\ndef f(*a): os._exit(0)",
    "exits with 0 before": "import os\nos._exit(0)",
    "leaves": "import sys\ndef f(*a): sys.exit(0)",
    "leaves before": "raise SystemExit(0)",
    "interrupts": "def f(*a): raise KeyboardInterrupt",
    "raises what ends generators": "def f(*a): raise GeneratorExit",
    "equals everything": EQUAL_TO_ALL + "def f(*a): return E()",
    "equals everything inside": EQUAL_TO_ALL + "def f(*a): return [E(), E()]",
    "is a class that equals everything": EQUAL_TO_ALL + "class f(E):\n    def __init__(self, *a): pass",
    "is a list that equals everything": "class L(list):\n    def __eq__(s, o): return True\ndef f(*a): return L([9])",
    "is an int that equals everything": "class L(int):\n    def __eq__(s, o): return True\ndef f(*a): return L(9)",
    "replaces builtins": "import builtins\nbuiltins.abs = builtins.len = lambda *a: 0\nbuiltins.AssertionError = SystemExit\n"
    "builtins.isinstance = lambda *a: True\ndef f(*a): return [9]",
    "defines builtins": "def abs(x): return 0\ndef len(x): return 1\ndef sorted(x): return [1, 2]\ndef f(*a): return [9]",
    "defines the helpers": "def _bethink_failed(*a): return ''\n_bethink_AssertionError = str\ndef f(*a): return [9]",
    "defines check": "def check(candidate): pass\ndef f(*a): return [9]",
    "patches unittest": "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n"
    "unittest.TestCase.run = lambda *a: None\ndef f(*a): return [9]",
    "looks into frames": "import sys, gc\ndef f(*a):\n    frame = sys._getframe()\n    while frame:\n"
    "        for k, v in list(frame.f_locals.items()) + list(frame.f_globals.items()):\n"
    "            if isinstance(v, bool): frame.f_globals[k] = True\n        frame = frame.f_back\n"
    "    for thing in gc.get_objects():\n        if isinstance(thing, dict) and 'passed' in thing: thing['passed'] = True\n    return [9]",
    "writes verdicts to every descriptor": "import os\nV = (40).to_bytes(8, 'big')\nfor fd in range(64):\n    for body in (b'Vt2:Ts16:all tests passed', b't2:Ts16:all tests passed'):\n"
    "        try: os.write(fd, len(body).to_bytes(8, 'big') + body)\n        except OSError: pass\ndef f(*a): return [9]",
    "writes rubbish to every descriptor": "import os\nfor fd in range(64):\n    try: os.write(fd, b'\\xff' * 100)\n    except OSError: pass\ndef f(*a): return [9]",
    "closes every descriptor": "import os\nos.closerange(0, 64)\ndef f(*a): return [9]",
    "reads every descriptor": "import os\nfor fd in range(64):\n    try:\n        os.set_blocking(fd, False)\n        os.read(fd, 100)\n    except OSError: pass\ndef f(*a): return [9]",
    "raises AssertionError": "def f(*a): raise AssertionError('passed')",
    "raises what the judge raises": "class Unsure(Exception): pass\ndef f(*a): raise Unsure()",
    "kills everybody": "import os, signal\ndef f(*a):\n    os.kill(-1, 9)\n    return [9]",
    "kills its parent": "import os, signal\nos.kill(os.getppid(), 9)\ndef f(*a): return [9]",
    "keeps talking from a thread": "import os, threading\ndef talk():\n    while True:\n        for fd in range(3, 9):\n            try: os.write(fd, b'\\0' * 7 + b'\\1N')\n            except OSError: pass\nthreading.Thread(target=talk, daemon=True).start()\ndef f(*a): return [9]",
}  # fmt: skip
UNITTEST = "import unittest\nclass T(unittest.TestCase):\n    def test_f(self):\n        self.assertEqual(f([3, 1, 2], 2), [1, 2])"


@pytest.mark.parametrize("program", FORGERS.values(), ids=FORGERS.keys())
@pytest.mark.parametrize("tests", [CALLED, UNITTEST], ids=["check", "unittest"])
def test_a_pass_cannot_be_forged(sandbox: Sandbox, program: str, tests: str) -> None:
    passed, why = judged(sandbox, program, tests)
    assert passed is not True, why


@pytest.mark.parametrize(
    "tests",
    [
        "assert abs(f(1) - 2.5) < 1e-6",
        "assert f(1) <= 3",
        "assert f(1).startswith('abc')",
        "assert 3 in f(1)",
        "assert f(1) in (1, 2)",
        "assert not f(1) != 3",
        "assert {f(1)} == {3}",
        "import math\nassert math.isclose(f(1), 2.5)",
        "assert f(1).x == 5",
        "assert f(1)[0] == 5",
        "assert max(f(1), 7) == 7 and f(1) == 7",
    ],
)
@pytest.mark.parametrize(
    "how",
    [
        "def f(*a): return E()",
        "class f(E):\n    def __init__(self, *a): pass",
        "class C(E):\n    startswith = staticmethod(lambda *a: True)\ndef f(*a): return C",
        "class C(E):\n    startswith = E()\n    E.__call__ = lambda *a: True\ndef f(*a): return C()",
    ],
)
def test_objects_that_claim_anything_pass_nothing(sandbox: Sandbox, tests: str, how: str) -> None:
    passed, why = judged(sandbox, EQUAL_TO_ALL + how, tests)
    assert passed is not True, why


def test_a_test_that_swallows_everything_does_not_swallow_that_it_is_unsure(sandbox: Sandbox) -> None:
    tests = "try:\n    assert f(1) == 3\nexcept BaseException:\n    pass"
    assert judged(sandbox, EQUAL_TO_ALL + "def f(*a): return E()", tests)[0] is None
    assert judged(sandbox, "import os\ndef f(*a): os._exit(0)", tests)[0] is False


# ---- programs that read and write


def test_programs_are_held_against_their_output(sandbox: Sandbox) -> None:
    double = "n = int(input())\nprint(n * 2, ' ')\nprint()"
    verdict = check_stdio(double, [StdioCase("2\n", "4\n"), StdioCase("-1", "-2")], sandbox=sandbox)
    assert (verdict.passed, verdict.why) == (True, "all cases passed")
    verdict = check_stdio(double, [StdioCase("2", "4"), StdioCase("3", "7")], sandbox=sandbox)
    assert (verdict.passed, verdict.why) == (False, "case 2 of 2: line 1 is '6', expected '7'")


@pytest.mark.parametrize(
    ("program", "part"),
    [
        ("print(4); print(5)", "2 lines came out, expected 1"),
        ("print(1 / 0)", "ZeroDivisionError"),
        ("while True: pass", "timed out"),
        ("while True: print('x')", "wrote more"),
        ("import os\nprint(4, flush=True)\nos._exit(1)", "exit code 1"),
        ("x = bytes(1 << 40)", "MemoryError"),
        ("", "0 lines came out"),
    ],
)
def test_what_is_wrong_with_output_is_told(sandbox: Sandbox, program: str, part: str) -> None:
    verdict = check_stdio(program, [StdioCase("2", "4")], sandbox=sandbox, limits=QUICK)
    assert verdict.passed is False
    assert part in verdict.why


def test_no_cases_show_nothing(sandbox: Sandbox) -> None:
    assert check_stdio("print(1)", [], sandbox=sandbox).passed is None


@pytest.mark.parametrize(
    ("program", "tests"),
    [
        (
            "def isclose(*a, **k): return True\ndef f(r): return 0",
            "from math import isclose\nassert isclose(f(1), 3.14)",
        ),
        ("def approx(x): return x\ndef f(r): return 0", "from pytest import approx\nassert f(1) == approx(3.14)"),
        ("def f(n): raise StopIteration", "assert all(map(f, [2, 4]))"),
        ("def f(n): return 0.0", "from pytest import approx\nassert f(1) == approx(float('inf'))"),
    ],
)
def test_a_pass_is_not_reached_by_a_side_door(sandbox: Sandbox, program: str, tests: str) -> None:
    assert judged(sandbox, program, tests)[0] is False


def test_what_a_program_does_as_a_script_does_not_happen_under_tests(sandbox: Sandbox) -> None:
    program = "def f(n): return n + 1\nif __name__ == '__main__':\n    print(f(int(input())))"
    assert judged(sandbox, program, "assert f(1) == 2") == (True, "all tests passed")
