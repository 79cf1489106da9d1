"""Generate once, decide often: every rule of stopping and voting replayed over kept paths, with its controls.

A rule that does not beat its controls is no rule: a *fixed vote* of as many tokens (between two whole numbers of paths
their mixture), and a *random exit*, which stops after as many paths as the rule did, but at questions of chance; both
are computed as expectations, not drawn. Where a measurement also has plain or budget arms over the same questions, they
stand beside the rules. Waves are replayed whole: a path of a started wave costs all its tokens, but for
a last one that is given up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, cast

from bethink.errors import UsageError
from bethink.evals.arms import NEVER
from bethink.evals.results import RESULTS, Line, read_line
from bethink.evals.stats import Estimate, bootstrap
from bethink.thinking.vote import VoteRule, is_decided, is_futile, is_sure, tally
from bethink.verify.math import classes


@dataclass(frozen=True, slots=True)
class Sampled:
    """One path as it was. `label` names its class of equal answers within the question; None: no answer. `tokens` are
    all of it, `thinking` those of its thought."""

    label: str | None
    is_right: bool
    tokens: int
    thinking: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """One question and its paths, in their order; `name` is its own, and with another seed it is there again."""

    name: str
    paths: tuple[Sampled, ...]

    @property
    def question(self) -> str:
        return self.name.partition("\0")[0]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a rule made of a question; `n_agree` of its paths gave the answer."""

    is_right: float
    tokens: float
    n_paths: int
    is_sure: bool = False
    n_agree: int = 0


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A rule over all answers. Differences are paired by question, its seeds averaged; `against_fixed` and
    `against_random` are None for rules that are controls themselves."""

    name: str
    right: float
    tokens: float
    paths: float
    against_first: Estimate
    against_fixed: Estimate | None
    against_random: Estimate | None
    n_sure: int
    right_when_sure: float


@dataclass(frozen=True, slots=True)
class Replayed:
    """`n` questions, answered `n_answers` times: with several seeds more often than once."""

    name: str
    n: int
    n_answers: int
    n_paths: int
    any_right: float
    rules: Sequence[RuleResult]


@dataclass(frozen=True, slots=True)
class Kept:
    """What a results file holds for a replay. `items` are the questions by arm, of arms whose paths all ran to their
    end; `singles` are the arms of one path: by arm and question whether it was right, and its tokens."""

    items: Mapping[str, Sequence[Item]]
    singles: Mapping[str, Mapping[str, tuple[float, float]]]


def read_kept(path: Path) -> Kept:
    """A results file, or its folder. Lines of older samples, which name no arm, are taken as one.

    Raises: UsageError: no file, no paths that can be replayed.
    """
    file = path / RESULTS if path.is_dir() else path
    try:
        rows = file.read_bytes()
    except OSError as error:
        hint = "name the folder or results.jsonl of an eval"
        raise UsageError(f"{file} cannot be read: {error.strerror}", hint) from None
    items: dict[str, dict[str, Item]] = {}
    singles: dict[str, dict[str, tuple[float, float]]] = {}
    incomplete: set[str] = set()
    for number, text in enumerate(rows[: rows.rfind(b"\n") + 1].splitlines(), 1):
        try:
            raw = cast("dict[str, Any]", json.loads(text))
            if "arm" not in raw:
                item = _older(raw)
                items.setdefault(path.stem, {}).setdefault(item.name, item)
                continue
            line = read_line(raw)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UsageError(f"line {number} of {file} is no result: {error}", "remove that line") from None
        name = f"{line.id}\0{line.seed}"
        if any(p.is_cancelled for p in line.paths):
            incomplete.add(line.arm)
        elif len(line.paths) > 1:
            items.setdefault(line.arm, {}).setdefault(name, Item(name, paths_of(line)))
        else:
            singles.setdefault(line.arm, {}).setdefault(name, (float(line.lenient is True), float(line.tokens)))
    whole = {arm: list(found.values()) for arm, found in items.items() if arm not in incomplete}
    if not whole:
        hint = 'sample them: bethink eval TASK --arms "plain, fixed:16" --out DIR'
        raise UsageError(f"{path} holds no paths that ran to their end", hint)
    return Kept(whole, {arm: found for arm, found in singles.items() if arm not in whole and arm not in incomplete})


def _older(raw: Mapping[str, Any]) -> Item:
    paths = [(p["answer"], Sampled(None, bool(p["right"]), int(p["tokens"]))) for p in raw["paths"]]
    return Item(str(raw["index"]), _labelled(paths))


def paths_of(line: Line) -> tuple[Sampled, ...]:
    """The paths of a line of results, that of a line without others included."""
    if not line.paths:
        alone = Sampled(None, line.lenient is True, line.tokens, line.thinking_tokens)
        return _labelled([(line.extracted, alone)])
    return _labelled([(p.extracted, Sampled(None, p.right is True, p.tokens, p.thinking_tokens)) for p in line.paths])


def _labelled(paths: Sequence[tuple[str | None, Sampled]]) -> tuple[Sampled, ...]:
    """Classes are found once over all answers of a question; every prefix of its paths then counts by label."""
    answers = [answer for answer, _ in paths if answer is not None]
    label = {answers[at]: answers[group[0]] for group in classes(answers) for at in group}
    return tuple(replace(path, label=None if a is None else label[a]) for a, path in paths)


def by_label(labels: Sequence[str]) -> list[list[int]]:
    groups: dict[str, list[int]] = {}
    for at, label in enumerate(labels):
        groups.setdefault(label, []).append(at)
    return list(groups.values())


def replay(item: Item, rule: VoteRule, n_paths: int) -> Outcome:
    """What the council would have done with these paths."""
    n_taken, tokens, heard, counted = 0, 0, list[Sampled](), tally([], by_label)
    while n_taken < n_paths:
        wave = item.paths[n_taken : n_taken + rule.next_wave(n_paths - n_taken)]
        n_taken += len(wave)
        tokens += sum(p.tokens for p in wave)
        straggler, most = _straggler(heard, wave, rule)
        if straggler is not None:
            tokens += most - straggler.tokens
        heard += [p for p in wave if p is not straggler]
        counted = tally([p.label for p in heard], by_label)
        if is_futile(counted, rule) or is_decided(counted, rule, n_left=n_paths - n_taken):
            break
    winner = heard[min(counted.members[0])] if counted.members else heard[0]
    return Outcome(float(winner.is_right), tokens, n_taken, is_sure(counted, rule), counted.lead[0])


def _straggler(heard: Sequence[Sampled], wave: Sequence[Sampled], rule: VoteRule) -> tuple[Sampled | None, int]:
    """The path of a wave that nobody waited for, and the tokens it had when it was given up."""
    last = max(wave, key=lambda path: path.tokens)
    others = [path for path in wave if path is not last]
    most = rule.most_tokens([path.tokens for path in (*heard, *others) if path.label is not None])
    if most is None or not others or last.tokens <= (given_up := max(most, *(path.tokens for path in others))):
        return None, 0
    return last, given_up


def rules(n_paths: int) -> dict[str, VoteRule]:
    """The rules that end a vote early."""
    default = VoteRule()
    found = {f"adaptive {c}": replace(default, confidence=c, futile_after=10**6) for c in (0.9, 0.95, 0.99)}
    for after, share in ((4, 0.26), (8, 0.2), (8, 0.25), (8, 0.3), (12, 0.25), (12, 0.34)):
        if after < n_paths:
            name = f"adaptive, gives up after {after} under {share}"
            found[name] = replace(default, futile_after=after, futile_share=share)
    return found


def replay_all(
    items: Sequence[Item], name: str, singles: Mapping[str, Mapping[str, tuple[float, float]]] | None = None
) -> Replayed:
    """Every rule and every control over these questions. Raises: UsageError: a question has fewer than two paths."""
    n_paths = min(len(i.paths) for i in items)
    if n_paths < 2:
        raise UsageError(f"{name} has a question with {n_paths} paths", "a vote is replayed over two and more")
    fixed = {k: [replay(i, replace(NEVER, wave=k), k) for i in items] for k in range(1, n_paths + 1)}
    names = [i.question for i in items]
    result = partial(_result, names, fixed[1])
    found = [result("first path", fixed[1])]
    powers = [2**e for e in range(1, 10) if 2**e < n_paths]
    found += [result(f"fixed {k}", fixed[k]) for k in dict.fromkeys([*powers, n_paths])]
    found += [result(arm, got) for arm, got in _controls(items, singles or {}).items()]
    for label, rule in rules(n_paths).items():
        got = [replay(i, rule, n_paths) for i in items]
        found.append(result(label, got, same_tokens(got, fixed), random_exit(got, fixed)))
    any_right = fmean(any(p.is_right for p in i.paths[:n_paths]) for i in items)
    return Replayed(name, len(set(names)), len(items), n_paths, any_right, found)


def _controls(
    items: Sequence[Item], singles: Mapping[str, Mapping[str, tuple[float, float]]]
) -> dict[str, list[Outcome]]:
    """The measured arms of one path that answered all of these questions; a greedy arm has its first seed only."""
    found: dict[str, list[Outcome]] = {}
    for arm, answers in singles.items():
        by_question = {name.partition("\0")[0]: got for name, got in reversed(list(answers.items()))}
        got = [answers.get(i.name) or by_question.get(i.question) for i in items]
        whole = [Outcome(g[0], g[1], 1) for g in got if g is not None]
        if len(whole) == len(items):
            found[f"control: {arm}"] = whole
    return found


def agreements(items: Sequence[Item], n_paths: int) -> list[tuple[float, float]]:
    """(agreement, right) of the full vote of every question, for a reliability diagram."""
    found: list[tuple[float, float]] = []
    for item in items:
        counted = tally([p.label for p in item.paths[:n_paths]], by_label)
        winner = item.paths[min(counted.members[0])] if counted.members else item.paths[0]
        found.append((counted.agreement, float(winner.is_right)))
    return found


def same_tokens(got: Sequence[Outcome], fixed: Mapping[int, Sequence[Outcome]]) -> list[float]:
    """The fixed vote that costs as much in the mean: question by question the mixture of the two nearest sizes."""
    wanted = fmean(o.tokens for o in got)
    cost = {k: fmean(o.tokens for o in outcomes) for k, outcomes in fixed.items()}
    below = max((k for k in cost if cost[k] <= wanted), default=min(cost))
    above = min(below + 1, max(cost))
    share = (wanted - cost[below]) / (cost[above] - cost[below]) if cost[above] > cost[below] else 0.0
    share = min(1.0, max(0.0, share))
    return [(1 - share) * a.is_right + share * b.is_right for a, b in zip(fixed[below], fixed[above], strict=True)]


def random_exit(got: Sequence[Outcome], fixed: Mapping[int, Sequence[Outcome]]) -> list[float]:
    """As many paths as the rule took, given to questions at random: each question's expectation over all ways."""
    n = len(got)
    counts = {k: sum(o.n_paths == k for o in got) / n for k in {o.n_paths for o in got}}
    return [sum(share * fixed[k][at].is_right for k, share in counts.items()) for at in range(n)]


def _result(
    questions: Sequence[str],
    first: Sequence[Outcome],
    name: str,
    got: Sequence[Outcome],
    fixed: Sequence[float] | None = None,
    chance: Sequence[float] | None = None,
) -> RuleResult:
    rights = [o.is_right for o in got]
    sure = [o.is_right for o in got if o.is_sure]

    def against(other: Sequence[float]) -> Estimate:
        by_question: dict[str, list[float]] = {}
        for question, a, b in zip(questions, rights, other, strict=True):
            by_question.setdefault(question, []).append(a - b)
        return bootstrap([fmean(found) for found in by_question.values()])

    return RuleResult(
        name=name,
        right=fmean(rights),
        tokens=fmean(o.tokens for o in got),
        paths=fmean(o.n_paths for o in got),
        against_first=against([o.is_right for o in first]),
        against_fixed=against(fixed) if fixed is not None else None,
        against_random=against(chance) if chance is not None else None,
        n_sure=len(sure),
        right_when_sure=fmean(sure) if sure else 0.0,
    )
