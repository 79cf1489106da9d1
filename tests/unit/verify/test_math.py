"""Equivalence of answers: exact where it can be, algebra where it must be, and always in time."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bethink.verify import worker as algebra
from bethink.verify.math import Worker, check_math, classes, compare, equivalent, warm_up

NO_ALGEBRA = [
    ("72", "72.0", True),
    ("72", "$72$", True),
    ("$1,234.50", "1234.5", True),
    ("1/2", "0.5", True),
    ("\\frac{3}{4}", "0.75", True),
    ("50%", "0.5", True),
    ("50%", "50", True),
    ("50%", "50\\%", True),
    ("50", "0.5", False),
    ("1/3", "0.333333333", True),
    ("1/3", "0.33", False),
    ("12345678", "12345679", False),
    ("0.1", "0.10000001", True),
    ("72 clips", "\\text{72 clips}", True),
    ("72 clips", "72", True),
    ("-5", "5", False),
    ("B", "(B)", True),
    ("b.", "B", True),
    ("A", "B", False),
    ("Paris", "  paris. ", True),
    ("Paris", "London", False),
    ("**yes**", "Yes", True),
    ("", "", True),
    ("", "0", False),
    ("\\text{No}", "no", True),
    ("5 apples and 3 pears", "3 apples and 5 pears", False),
    ("3 red, 4 blue", "4 red, 3 blue", False),
    ("listen 12", "silent 12", False),
    ("9" * 5000, "9" * 5000, True),
    ("a" * 10**6 + "1", "b" * 10**6 + "1", False),
    ("a" * 10**6 + "1", "a" * 10**6 + "2", False),
]

ALGEBRA = [
    ("x+1", "1+x", True),
    ("(x+1)^2", "x^2+2x+1", True),
    ("(x+1)^2", "x^2+1", False),
    ("2\\pi", "\\pi \\cdot 2", True),
    ("\\frac{\\sqrt{2}}{2}", "\\frac{1}{\\sqrt{2}}", True),
    ("\\sqrt{4}", "2", True),
    ("2^{10}", "1024", True),
    ("x = 5", "5", True),
    ("(1, 2)", "(1,2)", True),
    ("(1,2)", "(2,1)", False),
    ("\\{1,2\\}", "\\{2,1\\}", True),
    ("[0,1]", "[0,1)", False),
    ("x > 5", "5", False),
    ("5 or 6 cats", "6", False),
    ("\\infty", "infinity", True),
    ("2*x + sqrt(2)", "\\sqrt{2} + 2x", True),
    ("2*pi", "2\\pi", True),
    ("x**2", "x^2", True),
    ("5\\sqrt{2} \\text{ meters}", "5\\sqrt{2}", True),
    ("5\\sqrt{2} meters", "\\sqrt{50}", True),
    ("\\frac{2}{3}x", "\\frac{2x}{3}", True),
    ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1\\\\3\\end{pmatrix}", False),
]

HOSTILE = [
    "9**9**9**9",
    "9^{9^{9^{9}}}",
    "(10^{9})!",
    "\\underbrace{" * 300 + "x" + "}" * 300,
    "(" * 400 + "1" + ")" * 400,
    "\\frac{" * 80 + "1" + "}{2}" * 80,
    "\\sqrt{" * 150 + "2" + "}" * 150,
    "\\int_0^1 x^{x^{x^{x}}} dx",
    "\\sum_{n=1}^{10^{12}} n^{n}",
    "x" * 900,
    "+".join(f"x_{{{i}}}^{{{i}}}" for i in range(60)),
    "\x00\ud800\\",
    "{" * 900,
    "__import__('os').system('sleep 60')",
    "\\left(" * 100,
]


@pytest.fixture(scope="module")
def shared_worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.close()


@pytest.mark.parametrize(("a", "b", "same"), NO_ALGEBRA)
def test_numbers_and_texts_are_compared_without_algebra(
    a: str, b: str, same: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_process(*_: object, **__: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(Worker, "compare", no_process)
    assert equivalent(a, b) is same
    assert equivalent(b, a) is same


@pytest.mark.parametrize(("a", "b", "same"), ALGEBRA)
def test_algebra_decides_the_rest(a: str, b: str, same: bool) -> None:
    assert equivalent(a, b, timeout_s=20) is same
    assert equivalent(b, a, timeout_s=20) is same


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_answers_end_in_time_and_are_not_equivalent(text: str, shared_worker: Worker) -> None:
    shared_worker.start()
    began = time.monotonic()
    assert not shared_worker.compare(text, "y^2 + 7", 1.0)
    assert time.monotonic() - began < 10.0
    assert shared_worker.compare(f"\\sqrt{{{len(text) ** 2}}}", str(len(text)), 20)  # the next question is answered


@given(st.text(max_size=50), st.text(max_size=50))
@settings(max_examples=50, deadline=None)
def test_any_two_texts_can_be_compared_in_either_order(a: str, b: str) -> None:
    assert compare(a, b, timeout_s=20) == compare(b, a, timeout_s=20)


def test_the_time_limit_holds_on_any_thread(worker: Worker) -> None:
    assert worker.compare("\\sqrt{4}", "2", 20) is True
    outcomes: list[tuple[bool | None, float]] = []

    def ask() -> None:
        began = time.monotonic()
        outcomes.append((worker.compare("9^{9^{9^{9}}}", "7^{7^{7^{7}}}", 0.5), time.monotonic() - began))

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(20)
    assert [outcome for outcome, _ in outcomes] == [None]
    assert outcomes[0][1] < 10
    began = time.monotonic()
    assert worker.compare("7^{7^{7^{7}}}", "9^{9^{9^{9}}}", 20) is None  # remembered, in either order
    assert time.monotonic() - began < 5


def test_many_threads_may_ask_at_once() -> None:
    wrong: list[str] = []

    def ask(n: int) -> None:
        for i in range(5):
            if not equivalent(f"\\sqrt{{{(n + i) ** 2}}}", str(n + i), timeout_s=20):
                wrong.append(f"{n} {i}")

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(2, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_worker_that_died_is_started_again(worker: Worker) -> None:
    assert worker.compare("\\sqrt{4}", "2", 20) is True
    worker.close()
    assert worker.compare("\\sqrt{9}", "3", 20) is True


def test_where_no_worker_can_be_started_what_takes_algebra_stays_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    worker = Worker()
    assert worker.compare("\\sqrt{4}", "2", 1) is None
    worker.close()


def test_algebra_that_takes_all_its_time_is_open_and_not_false(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(algebra, "CPU_S", 0.001)
    assert algebra.answer("\\sqrt{16} + x", "4 + x") == {"equal": None, "is_open": True}
    monkeypatch.setattr(algebra, "CPU_S", 20.0)
    assert algebra.answer("\\sqrt{16} + x", "4 + x") == {"equal": True, "is_open": False}


def test_a_busy_machine_changes_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds in which others have the processor do not count."""
    monkeypatch.setattr(algebra, "CPU_S", 0.4)

    def slow(_left: object, _right: object, timeout_seconds: None) -> bool:
        time.sleep(1.2)
        return timeout_seconds is None

    monkeypatch.setattr(algebra, "verify", slow)
    assert algebra.answer("x", "y") == {"equal": True, "is_open": False}


def test_a_program_that_compares_is_not_run_twice_and_leaves_no_process() -> None:
    """A plain script without an `if __name__ == "__main__"` guard is what users write."""
    script = textwrap.dedent(
        """
        from bethink.verify.math import _worker, equivalent
        print("begin")
        print(equivalent("\\\\sqrt{4}", "2", timeout_s=20))
        print(_worker()._process.pid)
        """
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    begin, same, pid = done.stdout.split()
    assert (begin, same, done.stderr) == ("begin", "True", "")
    with pytest.raises(ProcessLookupError):
        _signal_nothing(int(pid))


def _signal_nothing(pid: int) -> None:
    import os

    os.kill(pid, 0)


def test_numbers_need_no_sympy() -> None:
    script = (
        "import sys; from bethink.verify.math import classes; classes(['1/2', '3']); assert 'sympy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_answers_fall_into_classes_in_the_order_of_first_appearance() -> None:
    answers = ["7", "1/2", "x", "0.5", "\\frac{1}{2}", "7.00", "2^{-1}", "\\sqrt{49}", "eight", "x"]
    assert classes(answers) == [[0, 5, 7], [1, 3, 4, 6], [2, 9], [8]]
    assert classes([]) == []
    assert classes(["a"]) == [[0]]


def test_percent_joins_the_number_that_others_gave() -> None:
    assert classes(["50%", "50", "0.5"]) == [[0, 1], [2]]
    assert classes(["50%", "0.5"]) == [[0, 1]]
    assert classes(["50%", "\\frac{1}{2}", "50 percent"]) == [[0, 1, 2]]


def test_classes_of_hostile_answers_end_in_time() -> None:
    warm_up().join()
    began = time.monotonic()
    found = classes(["9^{9^{9^9}}", "2", "\\sqrt{4}", "8^{8^{8^8}}", "x+1", "2"], timeout_s=4)
    assert time.monotonic() - began < 8
    assert sorted(i for group in found for i in group) == [0, 1, 2, 3, 4, 5]
    assert next(group for group in found if 1 in group)[-1] == 5


@settings(deadline=None)
@given(st.lists(st.sampled_from(["1/2", "0.5", "50%", "50", "2", "two", "B", "(b)", "", "blue"])))
def test_classes_hold_every_answer_once(answers: list[str]) -> None:
    found = classes(answers)
    assert sorted(i for group in found for i in group) == list(range(len(answers)))
    assert [group[0] for group in found] == sorted(group[0] for group in found)
    assert all(group == sorted(group) for group in found)


def test_a_verdict_says_what_was_compared_and_why() -> None:
    right, wrong, none = check_math("18", "$18.00"), check_math("18", "17"), check_math("18", None)
    assert (right.kind, right.passed, right.extracted, right.why) == ("math", True, "$18.00", "equals 18")
    assert (wrong.passed, wrong.why) == (False, "is not 18")
    assert (none.passed, none.extracted) == (False, None)


def test_a_verdict_that_ran_out_of_time_is_unsure() -> None:
    warm_up().join()
    verdict = check_math("6^{6^{6^{6}}}", "5^{5^{5^{5}}}", timeout_s=0.5)
    assert verdict.passed is None
    assert "in time" in verdict.why
