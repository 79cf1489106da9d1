"""Random knobs of all dialects keep the contract of thinking, or are refused by name."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.unit.server.wire.random_asking import broken, draw, random_model
from tests.unit.server.wire.served import serving

pytestmark = pytest.mark.anyio
N = 400


async def test_random_knobs_keep_the_contract_or_are_refused() -> None:
    statuses, failures = Counter[int](), list[str]()
    async with serving(random_model, capabilities=frozenset({"json_schema", "logprobs", "top_logprobs"})) as served:
        for seed in range(N):
            drawn = draw(seed)
            answer = await served.client.post(drawn.speech.path, json=drawn.body)
            statuses[answer.status_code] += 1
            failures += [f"{seed}: {clause}: {drawn.body}" for clause in broken(drawn, answer)]
        assert served.service.n_running == 0
        assert served.engine.n_running == 0
    assert not failures, "\n".join(failures[:5])
    assert statuses[200] > N / 2
    assert statuses[400] > N / 20
