"""Programs that do the same are one class, however they are written."""

from __future__ import annotations

from bethink.verify.code import behaviours, classes_by_behaviour
from bethink.verify.sandbox import Limits, Sandbox

SUM = "def f(xs):\n    return sum(xs)"
LOOP = "def f(xs):\n    total = 0\n    for x in xs:\n        total += x\n    return total"
PRODUCT = "def f(xs):\n    total = 1\n    for x in xs:\n        total *= x\n    return total"
BROKEN = "def f(xs:"
RAISES = "def f(xs):\n    raise ValueError(xs)"
HANGS = "def f(xs):\n    while len(xs) == 2: pass\n    return sum(xs)"
LEAVES = "import os\ndef f(xs):\n    os._exit(0)"
INPUTS = ["f([1, 2, 3])", "f([2, 5])", "f([])"]


def test_outputs_are_told_in_the_order_of_the_inputs(sandbox: Sandbox) -> None:
    found = behaviours([SUM, BROKEN, RAISES], [*INPUTS, "f(7)"], sandbox=sandbox)
    assert found == [("6", "7", "0", "raises TypeError"), None, ("raises ValueError",) * 4]


def test_programs_that_do_the_same_are_together(sandbox: Sandbox) -> None:
    programs = [PRODUCT, SUM, BROKEN, LOOP, RAISES, LEAVES]
    assert classes_by_behaviour(programs, INPUTS, sandbox=sandbox) == [[0], [1, 3]]


def test_a_program_does_not_win_by_taking_what_is_no_input(sandbox: Sandbox) -> None:
    """As a small model writes them: `f(3)` for a function of a list. Most programs have no use for it."""
    takes_all = "def f(xs):\n    return sum(xs) if isinstance(xs, list) else xs"
    inputs = ["f(3)", "f(None)"]
    assert classes_by_behaviour([takes_all, SUM, LOOP, PRODUCT], inputs, sandbox=sandbox) == []
    with_one_more = classes_by_behaviour([takes_all, SUM, LOOP, PRODUCT], [*inputs, *INPUTS], sandbox=sandbox)
    assert with_one_more == [[0, 1, 2], [3]]


def test_an_input_that_hangs_costs_that_input_only(sandbox: Sandbox) -> None:
    (found,) = behaviours([HANGS], INPUTS, sandbox=sandbox, limits=Limits(cpu_s=1, wall_s=1))
    assert found == ("6", "no output: timed_out", "0")


def test_a_program_that_always_dies_gives_no_output(sandbox: Sandbox) -> None:
    (found,) = behaviours([LEAVES], INPUTS * 3, sandbox=sandbox)
    assert found is not None
    assert len(found) == 9
    assert all(output.startswith("no output") for output in found)


def test_equal_values_are_equal_outputs(sandbox: Sandbox) -> None:
    pairs = [
        ("{3, 1, 2}", "{2, 3, 1}"),
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
        ("0.1 + 0.2", "0.3"),
        ("[1, (2,)]", "[1, (2,)]"),
    ]
    for one, other in pairs:
        programs = [f"def f(): return {text}" for text in (one, other)]
        assert classes_by_behaviour(programs, ["f()"], sandbox=sandbox) == [[0, 1]]
    apart = [("[1]", "(1,)"), ("1", "'1'"), ("True", "'True'"), ("None", "0"), ("print('x')", "None")]
    for one, other in apart:
        programs = [f"def f(): return {text}" for text in (one, other)]
        assert classes_by_behaviour(programs, ["f()"], sandbox=sandbox) == [[0], [1]]


def test_inputs_that_are_no_python_are_told(sandbox: Sandbox) -> None:
    assert behaviours([SUM], ["f(", "import os", ""], sandbox=sandbox) == [("raises SyntaxError",) * 3]
    assert behaviours([SUM], [], sandbox=sandbox) == [()]
    assert behaviours([], ["f(1)"], sandbox=sandbox) == []
