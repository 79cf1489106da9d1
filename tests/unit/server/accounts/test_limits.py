"""Limits are kept to the request, however many come at once, and every refusal says which limit of whom it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.errors import LimitReached, ModelNotAllowed, QuotaExhausted, RateLimited, TooManyAtOnce
from bethink.server.accounts import LOCAL, Accounts, Limits, Principal, UsageLine
from bethink.server.accounts.admission import Admission, Hold, Holder, MonthlyUse, Window
from bethink.server.accounts.values import as_time, as_us
from tests.unit.server.accounts.conftest import HandClock, wait_until

Line = Callable[..., UsageLine]
pytestmark = pytest.mark.anyio


def ask_with(accounts: Accounts, limits: Limits, name: str = "ci") -> Principal:
    return accounts.identify(accounts.directory.create_key(name, limits=limits).secret)


async def test_requests_per_minute(accounts: Accounts, hands: HandClock) -> None:
    principal = ask_with(accounts, Limits(requests_per_minute=3))
    for _ in range(3):
        (await accounts.admit(principal, "m", 1)).release()
        hands.pass_s(10)
    with pytest.raises(RateLimited, match="the key 'ci' has reached its 3 requests per minute") as refused:
        await accounts.admit(principal, "m", 1)
    assert refused.value.retry_after_s == pytest.approx(30)
    assert (refused.value.code, refused.value.http_status) == ("rate_limited", 429)
    hands.pass_s(29.9)
    with pytest.raises(RateLimited):
        await accounts.admit(principal, "m", 1)
    hands.pass_s(0.2)
    await accounts.admit(principal, "m", 1)


async def test_tokens_per_minute_are_reserved_and_then_corrected(accounts: Accounts, line: Line) -> None:
    principal = ask_with(accounts, Limits(tokens_per_minute=1000))
    ticket = await accounts.admit(principal, "m", 900)
    with pytest.raises(RateLimited, match="1,000 tokens per minute"):
        await accounts.admit(principal, "m", 101)
    ticket.settle(line(input_tokens=50))
    more = await accounts.admit(principal, "m", 950)
    more.settle(line(input_tokens=2000))  # it took more than it said
    with pytest.raises(RateLimited):
        await accounts.admit(principal, "m", 1)


async def test_a_request_that_never_fits_is_told_so(accounts: Accounts) -> None:
    principal = ask_with(accounts, Limits(tokens_per_minute=1000))
    with pytest.raises(RateLimited, match="this request alone may take 5,000 tokens") as refused:
        await accounts.admit(principal, "m", 5000)
    assert "ask for fewer" in refused.value.hint


async def test_concurrency(accounts: Accounts) -> None:
    principal = ask_with(accounts, Limits(concurrency=2))
    first, _ = [await accounts.admit(principal, "m", 1) for _ in range(2)]
    with pytest.raises(TooManyAtOnce, match="2 requests of the key 'ci' are under way") as refused:
        await accounts.admit(principal, "m", 1)
    assert (refused.value.code, refused.value.http_status) == ("too_many_at_once", 429)
    first.release()
    first.release()
    await accounts.admit(principal, "m", 1)


async def test_one_at_once_is_said_in_the_singular(accounts: Accounts) -> None:
    principal = ask_with(accounts, Limits(concurrency=1))
    await accounts.admit(principal, "m", 1)
    with pytest.raises(TooManyAtOnce, match=r"^1 request of the key 'ci' is under way, which is its limit"):
        await accounts.admit(principal, "m", 1)
    with pytest.raises(TooManyAtOnce):
        await accounts.admit(principal, "m", 1)


async def test_tokens_per_month(accounts: Accounts, hands: HandClock, line: Line) -> None:
    principal = ask_with(accounts, Limits(tokens_per_month=1000))
    (await accounts.admit(principal, "m", 600)).settle(line(input_tokens=600))
    with pytest.raises(QuotaExhausted, match="the key 'ci' has used 600 of 1,000 tokens this month") as refused:
        await accounts.admit(principal, "m", 401)
    assert (refused.value.code, refused.value.http_status) == ("quota_exhausted", 429)
    december_s = as_us(as_time(int(hands.now_s * 1e6)).replace(month=12, day=1, hour=0, minute=0, second=0)) / 1e6
    assert refused.value.retry_after_s == pytest.approx(december_s - hands.now_s, abs=1)
    running = await accounts.admit(principal, "m", 400)
    with pytest.raises(QuotaExhausted) as passing:
        await accounts.admit(principal, "m", 1)
    assert passing.value.retry_after_s <= 1, "what is under way may use less than it reserved"
    running.release()
    hands.pass_s(refused.value.retry_after_s + 1)
    await accounts.admit(principal, "m", 1000)


async def test_a_workspace_has_limits_for_all_its_keys_together(accounts: Accounts) -> None:
    accounts.directory.change_workspace("default", limits=Limits(requests_per_minute=3))
    first, second = ask_with(accounts, Limits(), "a"), ask_with(accounts, Limits(requests_per_minute=1), "b")
    await accounts.admit(second, "m", 1)
    with pytest.raises(RateLimited, match="the key 'b'"):
        await accounts.admit(second, "m", 1)
    await accounts.admit(first, "m", 1)
    await accounts.admit(first, "m", 1)
    with pytest.raises(RateLimited, match="the workspace 'default' has reached its 3 requests") as refused:
        await accounts.admit(first, "m", 1)
    assert "for the workspace 'default'" in refused.value.hint


async def test_of_several_limits_the_one_to_wait_for_longest_is_named(accounts: Accounts) -> None:
    principal = ask_with(accounts, Limits(requests_per_minute=1, concurrency=1, tokens_per_month=10))
    await accounts.admit(principal, "m", 1)
    with pytest.raises(RateLimited):
        await accounts.admit(principal, "m", 1)
    with pytest.raises(QuotaExhausted):
        await accounts.admit(principal, "m", 11)


async def test_a_model_that_is_not_allowed_takes_nothing(accounts: Accounts) -> None:
    made = accounts.directory.create_key("ci", models=["qwen3:*"], limits=Limits(requests_per_minute=1))
    principal = accounts.identify(made.secret)
    with pytest.raises(ModelNotAllowed):
        await accounts.admit(principal, "smollm2:135m", 1)
    await accounts.admit(principal, "qwen3:4b", 1)


async def test_a_limit_that_was_changed_holds_from_then_on(accounts: Accounts) -> None:
    principal = ask_with(accounts, Limits(concurrency=1))
    await accounts.admit(principal, "m", 1)
    accounts.directory.change_key("ci", limits=Limits(concurrency=2))
    await accounts.admit(principal, "m", 1)
    with pytest.raises(TooManyAtOnce):
        await accounts.admit(principal, "m", 1)


async def test_the_local_workspace_can_be_limited_too(accounts: Accounts) -> None:
    accounts.directory.change_workspace("local", limits=Limits(concurrency=1))
    await accounts.admit(LOCAL, "m", 1)
    with pytest.raises(TooManyAtOnce, match="the workspace 'local'"):
        await accounts.admit(LOCAL, "m", 1)


async def test_monthly_use_is_known_after_a_restart_and_by_other_servers(
    accounts: Accounts, url: str, tmp_path: Path, hands: HandClock, line: Line
) -> None:
    principal = ask_with(accounts, Limits(tokens_per_month=1000))
    (await accounts.admit(principal, "m", 10)).settle(line(input_tokens=600))
    accounts.usage()  # waits for the database
    with Accounts.open(url, tmp_path, clock=hands.clock(), refresh_s=0.05) as other:
        with pytest.raises(QuotaExhausted, match="used 600"):
            await other.admit(principal, "m", 500)
        (await other.admit(principal, "m", 400)).settle(line(input_tokens=390))

    def is_seen() -> bool:
        try:
            accounts.admit_now(principal, "m", 20).release()
        except QuotaExhausted as error:
            return "used 990" in str(error)
        return False

    wait_until(is_seen)


async def test_many_tasks_at_once_never_pass_a_limit(accounts: Accounts, line: Line) -> None:
    principal = ask_with(accounts, Limits(requests_per_minute=150, concurrency=7, tokens_per_minute=100_000))
    n_running = most = n_done = n_refused = 0

    async def client() -> None:
        nonlocal n_running, most, n_done, n_refused
        for _ in range(20):
            try:
                ticket = await accounts.admit(principal, "m", 200)
            except LimitReached:
                n_refused += 1
                await asyncio.sleep(0)
                continue
            n_running += 1
            most = max(most, n_running)
            await asyncio.sleep(0)
            n_running -= 1
            ticket.settle(line())
            n_done += 1

    await asyncio.gather(*(client() for _ in range(40)))
    assert n_done + n_refused == 800
    assert most == 7
    assert n_done <= 150
    assert accounts.usage("key")[0].n_requests == n_done


STEPS = st.lists(st.tuples(st.floats(0, 40), st.integers(0, 60), st.one_of(st.none(), st.integers(0, 90))), max_size=40)


@given(
    steps=STEPS,
    limits=st.builds(
        Limits,
        requests_per_minute=st.one_of(st.none(), st.integers(1, 5)),
        tokens_per_minute=st.one_of(st.none(), st.integers(1, 150)),
        concurrency=st.one_of(st.none(), st.integers(1, 3)),
        tokens_per_month=st.one_of(st.none(), st.integers(1, 500)),
    ),
    workspace_limits=st.builds(Limits, requests_per_minute=st.one_of(st.none(), st.integers(1, 5))),
)
def test_whatever_is_asked_limits_hold_and_waiting_is_enough(
    steps: list[tuple[float, int, int | None]], limits: Limits, workspace_limits: Limits
) -> None:
    """Each step waits, asks with an estimate, and ends the oldest request with so many tokens used (or none does)."""
    hands = HandClock()
    use = MonthlyUse(hands.clock())
    admission = Admission(hands.clock(), use)
    holders = [Holder("k", "the key", limits), Holder("w", "the workspace", workspace_limits)]
    running: list[Hold] = []
    admitted: list[tuple[float, int]] = []
    for pause_s, estimated, used in steps:
        hands.pass_s(pause_s)
        try:
            running.append(admission.admit(holders, estimated))
            admitted.append((hands.ticks_s, estimated))
        except TooManyAtOnce:
            assert limits.concurrency is not None
            assert len(running) == limits.concurrency
        except RateLimited as refused:
            is_possible = limits.tokens_per_minute is None or estimated <= limits.tokens_per_minute
            has_others = limits.tokens_per_month is not None
            hands.pass_s(refused.retry_after_s + 0.001)
            for hold in running:
                admission.end(hold, 0)
            running.clear()
            if is_possible and not has_others:
                running.append(admission.admit(holders, estimated))
                admitted.append((hands.ticks_s, estimated))
        except QuotaExhausted:
            assert limits.tokens_per_month is not None
        if used is not None and running:
            hold = running.pop(0)
            admission.end(hold, min(used, hold.estimated))
            use.committed(["k", "w"], use.month, min(used, hold.estimated), is_kept=True)
        last_minute = [at for at, _ in admitted if at > hands.ticks_s - 60]
        for limit in (limits.requests_per_minute, workspace_limits.requests_per_minute):
            assert limit is None or len(last_minute) <= limit
        assert limits.concurrency is None or len(running) <= limits.concurrency
        reserved = sum(hold.estimated for hold in running)
        assert limits.tokens_per_month is None or use.used("k") + reserved <= limits.tokens_per_month
        assert admission.running("k") == admission.running("w") == len(running)


@given(taken=st.lists(st.tuples(st.floats(0, 30), st.integers(0, 50), st.booleans()), max_size=60))
def test_a_window_is_what_was_taken_in_the_last_minute(taken: list[tuple[float, int, bool]]) -> None:
    window, now_s = Window(), 0.0
    kept: list[tuple[float, int]] = []
    for pause_s, amount, is_returned in taken:
        now_s += pause_s
        window.wait_s(0, 10**9, now_s)
        slot = window.take(amount, now_s)
        if is_returned:
            window.give_back(slot, amount)
        else:
            kept.append((now_s, amount))
        in_window = sum(n for at, n in kept if at > now_s - 60)
        late = sum(n for at, n in kept if now_s - 60.05 < at <= now_s - 60)
        assert in_window <= window.total <= in_window + late


def test_a_window_stays_small_whatever_passes() -> None:
    window = Window()
    for step in range(200_000):
        now_s = step / 1000
        window.wait_s(1, 10**9, now_s)
        window.take(1, now_s)
    assert len(window._slots) <= 1201  # pyright: ignore[reportPrivateUsage]  # its size is the claim
