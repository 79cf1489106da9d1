"""Schemas: an answer that is JSON and holds to a JSON schema is proven."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bethink.thinking.checks.check import Check, Judged, Patience, verdict_by_proof
from bethink.thinking.vote import Tally, VoteRule
from bethink.types import PathResult, Verdict
from bethink.verify.schema import check_schema, extract_json


@dataclass(frozen=True, slots=True)
class Schema(Check):
    """`text` is the schema as it was given; the model is told it, because a constraint alone only says what it may not
    write."""

    kind = "schema"
    is_slow = True

    text: str = field(kw_only=True)

    @property
    def instruction(self) -> str:
        return f"Answer with JSON alone, valid for this JSON schema:\n```json\n{self.text.strip()}\n```"

    def extract(self, path: PathResult, lead: str) -> str | None:
        del lead
        found = extract_json(path.answer)
        return found[0] if found else None

    def judge(self, path: PathResult, patience: Patience) -> Judged:
        said = check_schema(self.text, path.answer, timeout_s=patience.seconds(3.0))
        return Judged(said.passed, "the schema holds" if said.passed else said.why)

    def verdict(self, winner: PathResult, tally: Tally, rule: VoteRule, counted: Sequence[PathResult]) -> Verdict:
        del tally, rule
        return verdict_by_proof("schema", winner, counted)
