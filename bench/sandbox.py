"""The sandbox: how fast small programs are checked, and whether anything is left behind after many runs.

    python bench/sandbox.py                   # 200 programs run, and 200 held against tests
    python bench/sandbox.py --runs 10000      # then also 10,000 runs: processes, files and memory before and after

What is left behind is counted for this process and everything below it, with the sandbox closed.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
from table import machine, show

from bethink.verify.code import check_code
from bethink.verify.sandbox import Sandbox, open_sandbox

PROGRAM = "def f(xs, k):\n    return sorted(xs)[:k]\n"
TESTS = (
    "def check(candidate):\n    assert candidate([3, 1, 2], 2) == [1, 2]\n    assert candidate([], 1) == []\ncheck(f)\n"
)
HOSTILE = (
    "print('hello')",
    "import os\nos.fork()",
    "x = bytearray(1 << 40)",
    "for n in range(50): open(str(n), 'w').write('x' * 1000)",
    "import os\nos._exit(3)",
    "import threading, time\nfor _ in range(5): threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
    "import os\nos.abort()",
    "print('x' * 100_000)",
)


@dataclass(frozen=True, slots=True)
class Left:
    """What this process holds, and what lies about."""

    processes: int
    descriptors: int
    threads: int
    scratch_files: int
    mounts: int
    rss_mib: float

    @classmethod
    def now(cls) -> Left:
        me = psutil.Process()
        return cls(
            len(me.children(recursive=True)),
            me.num_fds(),
            threading.active_count(),
            len(list(Path(tempfile.gettempdir()).glob("bethink-*"))),
            len(Path("/proc/self/mounts").read_text().splitlines()),
            me.memory_info().rss / (1 << 20),
        )


def timed(label: str, n: int, act: Callable[[int], object], n_threads: int) -> dict[str, object]:
    def every_nth(first: int) -> None:
        for number in range(first, n, n_threads):
            act(number)  # what comes out is not kept: it would count as left behind

    began = time.monotonic()
    with ThreadPoolExecutor(n_threads) as threads:
        list(threads.map(every_nth, range(n_threads)))
    seconds = time.monotonic() - began
    return {
        "what": label,
        "n": n,
        "at once": n_threads,
        "seconds": f"{seconds:.2f}",
        "each": f"{seconds / n * 1000:.0f} ms",
    }


def speed(sandbox: Sandbox, n_threads: int) -> None:
    rows = [
        timed("program run", 200, lambda n: sandbox.run(f"print({n})"), n_threads),
        timed(
            "program held against tests",
            200,
            lambda n: check_code(f"{PROGRAM}# {n}", TESTS, sandbox=sandbox),
            n_threads,
        ),
    ]
    show("Small programs", list(rows[0]), [list(map(str, row.values())) for row in rows])


def leaks(n_runs: int, n_threads: int) -> None:
    with open_sandbox() as sandbox:  # what is loaded once is loaded now
        sandbox.run("print(1)")
    before = Left.now()
    with open_sandbox() as sandbox:
        row = timed("hostile and friendly", n_runs, lambda n: sandbox.run(HOSTILE[n % len(HOSTILE)]), n_threads)
    time.sleep(0.5)
    after = Left.now()
    names = Left.__slots__
    rows = [[name, f"{getattr(before, name):g}", f"{getattr(after, name):g}"] for name in names]
    title = f"{n_runs} runs, {row['seconds']} s, {row['each']} each"
    show(title, ["left behind", "before", "after"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=0, help="also look for leaks over this many runs")
    parser.add_argument("--threads", type=int, default=(os.cpu_count() or 1) + 1)
    arguments = parser.parse_args()
    print(machine())
    with open_sandbox() as sandbox:
        speed(sandbox, arguments.threads)
    if arguments.runs:
        leaks(arguments.runs, arguments.threads)


if __name__ == "__main__":
    main()
