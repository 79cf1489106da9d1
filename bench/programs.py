"""Does it help this model when some paths of a vote write programs? Programs beside paths in words kept already.

    python bench/voting.py sample --model qwen2.5-coder:0.5b --n 100 --out votes-0.5b     # in words; hours
    python bench/programs.py sample votes-0.5b --n 100 --out programs-0.5b.jsonl          # survives a kill
    python bench/programs.py compare votes-0.5b programs-0.5b.jsonl

Every program is asked for, run and read as `bethink ask --programs` does it. `compare` counts votes to their end: of so
many paths in words, and of as many of which some are programs; both on the same questions.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from gsm8k import data_path
from table import machine, show

import bethink
from bethink.evals.asking import seed_of
from bethink.evals.registry import open_task
from bethink.evals.results import RESULTS, Line, read_line
from bethink.evals.stats import Difference, accuracy, paired
from bethink.model import Model
from bethink.thinking.checks.check import Patience
from bethink.thinking.starting import Paths
from bethink.thinking.vote import tally
from bethink.types import Message, PathResult, Request
from bethink.verify.math import classes

MIXTURES = ((4, 3, 1), (4, 2, 2), (4, 4, 4), (8, 6, 2), (8, 4, 4), (8, 8, 4), (16, 12, 4))
"""(paths in words, beside a vote of so many in words and so many programs)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The programs of one question: what each printed (None: no value), whether that is right, and tokens."""

    id: str
    printed: list[str | None]
    right: list[bool]
    why: list[str]
    tokens: list[int]


def sample(given: argparse.Namespace) -> None:
    """Append one line a question; questions in the file already are not asked again."""
    out: Path = given.out
    done = {asked.id for asked in read_programs(out)}
    lines = [line for line in lines_in_words(given.votes)[: given.n] if line.id not in done]
    task = open_task("gsm8k", data=data_path(given.data))

    def keep(line: Line, paths: Sequence[PathResult]) -> None:
        example, printed = task.example(line.index), [path.extracted for path in paths]
        right = [value is not None and task.judge(example, value).passed is True for value in printed]
        tokens = [path.usage.completion_tokens for path in paths]
        asked = Asked(line.id, printed, right, [path.why for path in paths], tokens)
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(asked)) + "\n")

    with bethink.load(given.model) as model:
        asyncio.run(sample_all(model, lines, given.programs, given.concurrent, keep))


async def sample_all(
    model: Model, lines: Sequence[Line], n: int, n_at_once: int, keep: Callable[[Line, Sequence[PathResult]], None]
) -> None:
    gate = asyncio.Semaphore(max(1, n_at_once // n))

    async def one(line: Line) -> None:
        async with gate:
            paths = await programs_of(model, line.question, n, seed_of(0, line.id))
        await asyncio.to_thread(keep, line, paths)

    async with asyncio.TaskGroup() as group:
        for line in lines:
            group.create_task(one(line))


async def programs_of(model: Model, question: str, n: int, seed: int) -> list[PathResult]:
    """`n` paths that write programs, run and read, and none in words."""
    run = model.think(
        Request((Message("user", question),), paths=n + 1, programs=n, check="math", budget=1024, seed=seed)
    )
    paths = Paths(
        engine=model.engine,
        codec=model.tokenizer,
        profile=model.profile,
        stop_ids=model.stop_ids,
        escapes=model.escapes,
        request=run.request,
        plan=run.plan,
        prompt=model.prompt(run.request, is_thinking=True, comparable=True),
        seed=run.seed,
        control=run.control,
        trace=run.trace,
        emit=lambda _: None,
        began=asyncio.get_running_loop().time(),
        aid=run.aid,
    )

    async def one(index: int) -> PathResult:
        written = await paths.new(index).run()
        program = replace(written, extracted=run.check.extract(written, ""))
        judged = await asyncio.to_thread(run.check.judge, program, Patience())
        return replace(program, extracted=judged.printed, why=judged.why)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(at + 1)) for at in range(n)]
    return [task.result() for task in tasks]


def compare(given: argparse.Namespace) -> None:
    kept = {asked.id: asked for asked in read_programs(given.programs)}
    pairs = [(line, kept[line.id]) for line in lines_in_words(given.votes) if line.id in kept]
    n_programs = min(len(asked.printed) for _, asked in pairs)
    words = [path for line, _ in pairs for path in line.paths]
    programs = [asked for _, asked in pairs]
    silent = fmean(value is None for asked in programs for value in asked.printed)
    show(
        f"One path, {len(pairs)} questions of the development split, {machine()}",
        ("path", "right", "gives a value", "tokens"),
        (
            ("in words, T = 0.7", percent([fmean(p.right is True for p in line.paths[1:]) for line, _ in pairs]), "–",
             fmean(path.tokens for path in words)),
            ("program, T = 0.7", percent([fmean(asked.right) for asked in programs]), f"{1 - silent:.0%}",
             fmean(count for asked in programs for count in asked.tokens)),
        ),
    )  # fmt: skip
    n_words = min(len(line.paths) for line, _ in pairs)
    rows = [mixed_row(pairs, n, w, m) for n, w, m in MIXTURES if m <= n_programs and n <= n_words]
    show("Votes counted to their end", ("votes", "words alone", "with programs", "difference", "tokens"), rows)


def mixed_row(pairs: Sequence[tuple[Line, Asked]], n: int, n_words: int, n_programs: int) -> list[object]:
    """A vote of `n` paths in words, and one of the first `n_words` of them and so many programs."""
    plain, mixed = dict[str, float](), dict[str, float]()
    for line, asked in pairs:
        words = [(path.extracted, path.right is True) for path in line.paths]
        programs = list(zip(asked.printed, asked.right, strict=True))[:n_programs]
        plain[line.id] = voted(words[:n])
        mixed[line.id] = voted(words[:n_words] + programs)
    before = fmean(tokens_of(line, n) for line, _ in pairs)
    after = fmean(tokens_of(line, n_words) + sum(asked.tokens[:n_programs]) for line, asked in pairs)
    return [
        f"{n} in words; {n_words} + {n_programs}",
        percent(list(plain.values())),
        percent(list(mixed.values())),
        told(paired(plain, mixed)),
        f"{before:.0f} → {after:.0f}",
    ]


def tokens_of(line: Line, n: int) -> int:
    return sum(path.tokens for path in line.paths[:n])


def voted(paths: Sequence[tuple[str | None, bool]]) -> float:
    """1 where the answer of the largest class is right; where nothing can be compared the first path answers."""
    counted = tally([answer for answer, _ in paths], classes)
    winner = min(counted.members[0]) if counted.members else 0
    return float(paths[winner][1])


def told(found: Difference | None) -> str:
    if found is None:
        return "–"
    change = found.difference
    return f"{100 * change.value:+.1f} [{100 * change.low:+.1f}, {100 * change.high:+.1f}], p = {found.p:.2f}"


def percent(values: Sequence[float]) -> str:
    found = accuracy(values)
    return f"{100 * found.value:.1f} % [{100 * found.low:.1f}, {100 * found.high:.1f}]"


def lines_in_words(folder: Path) -> list[Line]:
    """What bench/voting.py kept, in the order of the questions."""
    rows = (folder / RESULTS).read_bytes()
    lines = [read_line(json.loads(row)) for row in rows[: rows.rfind(b"\n") + 1].splitlines()]
    return sorted((line for line in lines if line.paths), key=lambda line: line.index)


def read_programs(path: Path) -> list[Asked]:
    """Nothing where there is no file yet."""
    if not path.exists():
        return []
    return [Asked(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    sampling = commands.add_parser("sample")
    sampling.add_argument("votes", type=Path)
    sampling.add_argument("--model", default="qwen2.5-coder:0.5b")
    sampling.add_argument("--data")
    sampling.add_argument("--n", type=int, default=100)
    sampling.add_argument("--programs", type=int, default=4)
    sampling.add_argument("--concurrent", type=int, default=32)
    sampling.add_argument("--out", type=Path, required=True)
    sampling.set_defaults(run=sample)
    comparing = commands.add_parser("compare")
    comparing.add_argument("votes", type=Path)
    comparing.add_argument("programs", type=Path)
    comparing.set_defaults(run=compare)
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
