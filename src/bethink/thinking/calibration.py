"""`Calibration`: what was measured of one model as one engine runs it, and what each effort spends because of it.

Owns its file: `calibration.json`, written whole or not at all, with a format number, and held against everything it
must be when it is read. What always holds: a file that is broken, or of another model, is never used and never stops a
question; what was wrong is said instead. `bethink.evals.calibrate` makes calibrations; asking only reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from bethink.errors import StoreError
from bethink.machine import read_cpu
from bethink.store.manifest import write_json
from bethink.thinking.belief import Belief, Curve
from bethink.thinking.spend import MAX_PATHS, Spend
from bethink.thinking.vote import VoteRule
from bethink.types import EFFORTS, Effort

FORMAT = 1
FILE = "calibration.json"
MAX_FILE_BYTES = 1_000_000
LARGEST = 10**9


@dataclass(frozen=True, slots=True)
class Share:
    """A share (or a difference of shares) with its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Chosen:
    """What an effort spends, how right that was and what it cost a question in the mean; `why` it was chosen.

    `right` and `tokens` are of questions that had no part in the choice, unless the calibration is in-sample."""

    spend: Spend
    right: Share
    tokens: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """`thinking` is what a thought is worth to this model, paired (None: not measured). `error` is the expected
    calibration error of `belief` on questions it was not fitted to. `made` is UTC, ISO 8601. `is_in_sample`: how right
    an effort is was read off the very questions that chose it, so it flatters."""

    model: str
    sha256: str
    engine: str
    form: str
    machine: str
    made: str
    source: str
    n_questions: int
    efforts: Mapping[Effort, Chosen]
    belief: Belief
    error: float
    thinking: Share | None = None
    notes: tuple[str, ...] = ()
    is_in_sample: bool = False
    is_of_here: bool = field(default=True, compare=False)

    @property
    def of_whom(self) -> str:
        """Of which questions the efforts' figures are."""
        if self.is_in_sample:
            return "in-sample: these figures are of the same questions that chose the settings, so they flatter"
        return "these figures are of questions that had no part in choosing the settings they were tried with"

    @property
    def told(self) -> str:
        place = "this machine" if self.is_of_here else "another machine"
        return f"calibrated on {place}, {self.made[:10]}, {self.n_questions:,} questions"


def here() -> str:
    """This machine, as a calibration names it."""
    return read_cpu().key


def keep(calibration: Calibration, folder: Path) -> None:
    """Raises: StoreError."""
    record = {"format": FORMAT, **asdict(calibration)}
    del record["is_of_here"]
    try:
        write_json(folder / FILE, record)
    except OSError as error:
        raise StoreError(
            f"{folder / FILE} cannot be written: {error.strerror}", "free some disk, then again"
        ) from error


def read(folder: Path) -> Calibration | None:
    """None where nothing was calibrated. Raises: StoreError: it cannot be used."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}", "check the rights") from error
    try:
        return from_record(json.loads(raw))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise StoreError(f"{path} is no calibration: {error}", "`bethink calibrate` makes a new one") from error


def find(folder: Path, sha256: str) -> tuple[Calibration | None, tuple[str, ...]]:
    """The calibration to ask with, and what has to be said where there is one that cannot be used."""
    try:
        found = read(folder)
    except StoreError as error:
        return None, (f"the calibration is left out: {error}; {error.hint}",)
    if found is not None and found.sha256 != sha256:
        return None, (f"the calibration in {folder} is left out: it is another model's",)
    return (found and replace(found, is_of_here=found.machine == here())), ()


def from_record(raw: object) -> Calibration:
    """Raises: ValueError, KeyError, TypeError, AttributeError: it is none, or not of this version."""
    record = _object(raw)
    if record["format"] != FORMAT:
        raise ValueError(f"its format is {record['format']!r}, not {FORMAT}")
    efforts = _object(record["efforts"])
    if set(efforts) != set(EFFORTS):
        raise ValueError(f"its efforts are {', '.join(map(str, efforts))}")
    thinking = record["thinking"]
    return Calibration(
        model=_text(record["model"]),
        sha256=_text(record["sha256"]),
        engine=_text(record["engine"]),
        form=_text(record["form"]),
        machine=_text(record["machine"]),
        made=_text(record["made"]),
        source=_text(record["source"]),
        n_questions=_whole(record["n_questions"], 1),
        efforts={name: _chosen(efforts[name]) for name in EFFORTS},
        belief=Belief(tuple(_curve(curve) for curve in _object(record["belief"])["curves"])),
        error=_number(record["error"], 0, 1),
        thinking=None if thinking is None else _share(thinking, -1),
        notes=tuple(_text(note) for note in record["notes"]),
        is_in_sample=_claim(record.get("is_in_sample", True)),  # earlier versions knew nothing else
    )


def _chosen(raw: object) -> Chosen:
    record = _object(raw)
    spend = _object(record["spend"])
    rule = spend["rule"]
    chosen = Spend(
        _whole(spend["budget"], -1), _whole(spend["paths"], 1, MAX_PATHS), None if rule is None else _rule(rule)
    )
    return Chosen(chosen, _share(record["right"], 0), _number(record["tokens"], 0, LARGEST), _text(record["why"]))


def _rule(raw: object) -> VoteRule:
    record = _object(raw)
    return VoteRule(
        wave=_whole(record["wave"], 1),
        confidence=_number(record["confidence"], 0, 2),
        futile_after=_whole(record["futile_after"], 1),
        futile_share=_number(record["futile_share"], 0, 1),
        straggler=_number(record.get("straggler", 10**6), 1, 10**6),  # earlier versions waited for every path
    )


def _curve(raw: object) -> Curve:
    record = _object(raw)
    return Curve(_whole(record["n"], 2), tuple((_number(a, 0, 1), _number(p, 0, 1)) for a, p in record["knots"]))


def _share(raw: object, least: float) -> Share:
    record = _object(raw)
    found = Share(*(_number(record[name], least, 1) for name in ("value", "low", "high")))
    if not found.low <= found.value <= found.high:
        raise ValueError(f"{found.value} is not within its interval")
    return found


def _object(raw: object) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ValueError(f"{str(raw)[:40]!r} is no object")
    return cast("dict[str, Any]", raw)


def _claim(raw: object) -> bool:
    if not isinstance(raw, bool):
        raise ValueError(f"{str(raw)[:40]!r} is neither true nor false")
    return raw


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"{str(raw)[:40]!r} is no text")
    return raw


def _number(raw: object, least: float, most: float) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not least <= raw <= most:  # nor is NaN
        raise ValueError(f"{str(raw)[:40]!r} is not between {least:g} and {most:g}")
    return float(raw)


def _whole(raw: object, least: int, most: float = LARGEST) -> int:
    if not isinstance(raw, int) or _number(raw, least, most) != raw:
        raise ValueError(f"{str(raw)[:40]!r} is no whole number")
    return raw
