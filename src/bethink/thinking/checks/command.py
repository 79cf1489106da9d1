"""The user's own command as the judge: what passes it is proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bethink.thinking.checks.check import Check, Judged, Patience, verdict_by_proof
from bethink.thinking.vote import Tally, VoteRule
from bethink.types import PathResult, Verdict
from bethink.verify.command import check_command


@dataclass(frozen=True, slots=True)
class Command(Check):
    """`line` is split as a shell would; the answer is on its standard input, its exit code the verdict."""

    kind = "cmd"
    spreads = True
    is_slow = True

    line: str = field(kw_only=True)

    def extract(self, path: PathResult, lead: str) -> str | None:
        del lead
        return path.answer

    def judge(self, path: PathResult, patience: Patience) -> Judged:
        said = check_command(
            self.line, path.answer, timeout_s=patience.seconds(60.0), is_given_up=patience.given_up.is_set
        )
        return Judged(said.passed, said.why)

    def verdict(self, winner: PathResult, tally: Tally, rule: VoteRule, counted: Sequence[PathResult]) -> Verdict:
        del tally, rule
        return verdict_by_proof("cmd", winner, counted)
