"""Generate once, decide often: sample paths for every question, keep them, and replay every rule of stopping over them.

    python bench/voting.py sample --model qwen2.5-coder:0.5b --n 100 --out votes-0.5b     # hours; survives a kill
    python bench/voting.py replay votes-0.5b

Sampling is `bethink eval` with one arm, `fixed:16`, with the escape from loops switched off, so that bench/loops.py can
replay that as well; replaying is `bethink eval simulate` as a table for a document. Path 0 is greedy, as it is in
`bethink ask`; it is also the baseline, so that every comparison is paired by question.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from gsm8k import N_DEVELOPMENT, data_path
from table import machine, show

import bethink
from bethink.evals.arms import parse_arms
from bethink.evals.measure import Order, measure
from bethink.evals.registry import open_task
from bethink.evals.simulate import Item, agreements, read_kept, replay_all
from bethink.evals.stats import Estimate, reliability


def sample(given: argparse.Namespace) -> None:
    """Append one line a question; questions in the folder already are not asked again."""
    if given.first + given.n > N_DEVELOPMENT:
        raise SystemExit(f"the development split has {N_DEVELOPMENT} questions; {given.first} + {given.n} are more")
    arms = parse_arms(f"fixed:{given.paths}+budget:{given.budget}")
    order = Order(arms, n=given.n, first=given.first, parallel=given.concurrent)
    task = open_task("gsm8k", data=data_path(given.data))
    with bethink.load(given.model, engine=given.engine) as model:
        model.escapes = None
        measure(task, order, model, given.out, on_line=lambda line: print(line.id, line.lenient, file=sys.stderr))


def interval(found: Estimate | None) -> str:
    if found is None:
        return "–"
    return f"{100 * found.value:+.1f} [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def report(items: Sequence[Item], name: str) -> None:
    found = replay_all(items, name)
    rows: list[list[object]] = [
        [
            r.name,
            f"{100 * r.right:.1f} %",
            interval(r.against_first),
            interval(r.against_fixed),
            interval(r.against_random),
            f"{r.paths:.1f}",
            f"{r.tokens:.0f}",
            f"{100 * r.right_when_sure:.0f} % of {r.n_sure}" if r.n_sure else "–",
        ]
        for r in found.rules
    ]
    show(
        f"Voting, {name}, {found.n} questions, up to {found.n_paths} paths",
        ["rule", "right", "against greedy", "a fixed vote", "random exit", "paths", "tokens", "right when sure"],
        rows,
    )
    bins, error = reliability(agreements(items, found.n_paths))
    shown = [[f"{b.low:.1f}–{b.high:.1f}", b.n, f"{100 * b.right.value:.0f} %"] for b in bins]
    show("Agreement and being right", ["agreement", "questions", "right"], shown)
    print(f"any of {found.n_paths} right: {100 * found.any_right:.1f} %; expected calibration error {error:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    sampling = commands.add_parser("sample")
    sampling.add_argument("--model", default="qwen2.5-coder:0.5b")
    sampling.add_argument("--data")
    sampling.add_argument("--n", type=int, default=300)
    sampling.add_argument("--first", type=int, default=0)
    sampling.add_argument("--paths", type=int, default=16)
    sampling.add_argument("--budget", type=int, default=1024)
    sampling.add_argument("--concurrent", type=int, default=32, help="paths at once")
    sampling.add_argument("--engine")
    sampling.add_argument("--out", type=Path, required=True, help="a folder")
    replaying = commands.add_parser("replay")
    replaying.add_argument("results", type=Path, nargs="+")
    given = parser.parse_args()
    if given.command == "replay":
        for path in given.results:
            for arm, items in read_kept(path).items.items():
                report(items, f"{path.stem} {arm}")
        return
    print(machine(), file=sys.stderr)
    sample(given)


if __name__ == "__main__":
    main()
