"""A summary in the shape in which lm-evaluation-harness writes its results, so that its readers can read ours.

Every arm is a task of its own, `TASK/ARM`; the two extractions are the harness's filters `strict-match` and
`flexible-extract`. Standard errors are those of a share over questions.
"""

from __future__ import annotations

from math import sqrt
from typing import Any

from bethink.evals.stats import Estimate
from bethink.evals.summary import ArmSummary, Summary


def lm_eval(summary: Summary) -> dict[str, Any]:
    settings = summary.settings
    task, model = str(settings.get("task", "task")), dict(settings.get("model") or {})
    names = {arm.name: f"{task}/{arm.name}" for arm in summary.arms}
    return {
        "results": {names[a.name]: _scores(a, names[a.name]) for a in summary.arms},
        "configs": {
            names[a.name]: {
                "task": names[a.name],
                "output_type": "generate_until",
                "repeats": a.n_answers // max(1, a.n),
                "metadata": {"arm": a.name, "task_sha256": settings.get("task_sha256")},
            }
            for a in summary.arms
        },
        "versions": dict.fromkeys(names.values(), 1),
        "n-shot": dict.fromkeys(names.values(), 0),
        "higher_is_better": {name: {"exact_match": True} for name in names.values()},
        "n-samples": {names[a.name]: {"original": a.n, "effective": a.n} for a in summary.arms},
        "config": {
            "model": "bethink",
            "model_args": f"pretrained={model.get('name')}",
            "model_sha256": model.get("sha256"),
            "engine": settings.get("engine"),
            "limit": settings.get("n"),
            "random_seed": settings.get("seed"),
        },
        "model_name": model.get("name"),
        "bethink_version": settings.get("bethink"),
        "date": settings.get("created"),
    }


def _scores(arm: ArmSummary, name: str) -> dict[str, Any]:
    return {
        "alias": name,
        "exact_match,strict-match": arm.strict.value,
        "exact_match_stderr,strict-match": _error(arm.strict, arm.n),
        "exact_match,flexible-extract": arm.lenient.value,
        "exact_match_stderr,flexible-extract": _error(arm.lenient, arm.n),
    }


def _error(found: Estimate, n: int) -> float | None:
    return sqrt(found.value * (1 - found.value) / (n - 1)) if n > 1 else None
