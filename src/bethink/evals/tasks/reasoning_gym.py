"""Any generator of reasoning-gym by name (`reasoning_gym:chain_sum`): as many fresh questions as one likes.

Its items are `Random(seed + index)`, so neighbouring seeds share questions: seeds are spaced by 10⁷ here, splits apart
too, and repeated questions are dropped by their hash. Its own checkers are not used: they give partial credit, and
some evaluate what the model wrote. Numbers are judged by `bethink.verify.math`, all else must be equal to the letter
(space apart). Generators with many right answers are refused, because no key decides them.

Source: reasoning-gym (Apache-2.0).
"""

from __future__ import annotations

import hashlib
import importlib
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib import metadata
from threading import Lock
from typing import Protocol, cast

from bethink.errors import ExtraMissing, UsageError
from bethink.evals.answers import judge_answer, stated
from bethink.evals.task import Example, Output, Split
from bethink.thinking.answers import compared_answer
from bethink.types import Verdict
from bethink.verify.numbers import parse_number

SPACING = 10**7
MOST = 10_000
"""More questions than anybody asks; some generators prepare them all."""
PATIENCE = 200
"""So many repeated questions in a row, and a generator has no more."""

MANY_RIGHT = frozenset(
    (
        "boxnet",
        "composite",
        "countdown",
        "graph_color",
        "group_anagrams",
        "intermediate_integration",
        "jugs",
        "knight_swap",
        "n_queens",
        "palindrome_generation",
        "path_star",
        "polynomial_multiplication",
        "power_function",
        "propositional_logic",
        "puzzle24",
        "quantum_lock",
        "rubiks_cube",
        "rush_hour",
        "shortest_path",
        "simple_integration",
        "sokoban",
        "tower_of_hanoi",
        "word_ladder",
    )
)
"""Several answers are right, or the key is written otherwise than the question asks."""

LITERAL = frozenset(("base_conversion", "fraction_simplification", "number_format"))
"""The form is the question: an equal number in another form is not the answer."""

ASKS_FOR_TAGS = "\n\nWrite the final answer, and nothing else, between <answer> and </answer>."
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)


class Dataset(Protocol):
    def __getitem__(self, index: int, /) -> Mapping[str, object]: ...


@dataclass(slots=True)
class ReasoningGym:
    """One generator with one seed. `open_dataset(seed)` makes its items; they are drawn when they are asked for."""

    name: str
    generator: str
    seed: int
    open_dataset: Callable[[int], Dataset]
    source: str
    sha256: str
    notes: tuple[str, ...] = ()
    compares: str = field(init=False)
    _drawn: dict[Split, _Drawn] = field(default_factory=dict[Split, "_Drawn"])
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.compares = "math" if _is_number(self.generator, self.example(0)) else "none"

    def size(self, split: Split = "test") -> int | None:
        del split
        return None

    def example(self, i: int, split: Split = "test") -> Example:
        with self._lock:
            if split not in self._drawn:
                base = (2 * self.seed + (split == "train")) * SPACING
                self._drawn[split] = _Drawn(self.generator, self.open_dataset(base))
            return self._drawn[split].example(i)

    def extract(self, example: Example, output: Output, *, strict: bool) -> str | None:
        if _is_number(self.generator, example):
            return stated(output) if strict else compared_answer(output.answer, output.thinking, lead=output.lead)
        tagged = _TAGGED.findall(output.answer) or ([] if strict else _TAGGED.findall(output.thinking))
        if tagged:
            return str(tagged[-1])
        return stated(output) if strict else compared_answer(output.answer, output.thinking) or output.answer

    def judge(self, example: Example, extracted: str | None) -> Verdict:
        if _is_number(self.generator, example):
            return judge_answer(example, extracted)
        gold = example.gold or ""
        if extracted is None:
            return Verdict("exact", False, None, "no answer was found in the text")
        is_same = _lines(extracted) == _lines(gold)
        return Verdict("exact", is_same, extracted, f"{'equals' if is_same else 'is not'} {gold}")

    def verify(self, example: Example, text: str) -> Verdict:
        return self.judge(example, self.extract(example, Output(text), strict=False))

    def close(self) -> None:
        """Nothing is held."""


@dataclass(slots=True)
class _Drawn:
    """The distinct items of one split, as far as they were asked for."""

    generator: str
    dataset: Dataset
    examples: list[Example] = field(default_factory=list[Example])
    _seen: set[str] = field(default_factory=set[str])
    _next: int = 0

    def example(self, i: int) -> Example:
        n_repeated = 0
        while len(self.examples) <= i:
            item = self.dataset[self._next]
            question, gold = str(item["question"]), item["answer"]
            self._next += 1
            key = hashlib.sha256(question.encode()).hexdigest()
            n_repeated = n_repeated + 1 if key in self._seen else 0
            if n_repeated > PATIENCE or self._next >= MOST:
                raise UsageError(
                    f"reasoning_gym:{self.generator} has no more than {len(self.examples)} different questions",
                    f"ask for --n {len(self.examples)}",
                )
            if n_repeated or not isinstance(gold, str):
                continue
            self._seen.add(key)
            asked = question if _is_numeric(self.generator, gold) else question + ASKS_FOR_TAGS
            self.examples.append(Example(key[:16], asked, gold, meta={"index": self._next - 1}))
        return self.examples[i]


def reasoning_gym(name: str, generator: str, seed: int) -> ReasoningGym:
    """Raises: ExtraMissing, UsageError (unknown generator, or one that a key cannot decide)."""
    known, create = _library()
    if generator not in known:
        near = get_close_matches(generator, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"for example {', '.join(known[:6])}"
        raise UsageError(f"reasoning-gym has no generator {generator!r}", hint)
    if generator in MANY_RIGHT:
        raise UsageError(
            f"reasoning_gym:{generator} has many right answers, and its own checker is not safe with a model's text",
            "choose a generator with one right answer, for example chain_sum, leg_counting or spell_backward",
        )
    version = metadata.version("reasoning-gym")
    source = f"reasoning-gym {version}, {generator}, seed {seed}"
    digest = hashlib.sha256(source.encode()).hexdigest()
    return ReasoningGym(name, generator, seed, lambda base: create(generator, base), source, digest)


def _library() -> tuple[list[str], Callable[[str, int], Dataset]]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its dependencies compile with warnings
            module = importlib.import_module("reasoning_gym")
            factory = importlib.import_module("reasoning_gym.factory")
    except ImportError as error:
        raise ExtraMissing(f"reasoning-gym is not installed ({error})", "pip install 'bethink[eval]'") from None
    known = sorted(cast("Mapping[str, object]", factory.DATASETS))

    def create(generator: str, seed: int) -> Dataset:
        return cast("Dataset", module.create_dataset(generator, size=MOST, seed=seed))

    return known, create


def _is_number(generator: str, example: Example) -> bool:
    return _is_numeric(generator, example.gold or "")


def _is_numeric(generator: str, gold: str) -> bool:
    return generator not in LITERAL and "\n" not in gold and parse_number(gold) is not None


def _lines(text: str) -> list[str]:
    """The text as it is compared: space at the ends and runs of it do not count."""
    return [" ".join(line.split()) for line in text.strip().splitlines()]
