"""What was used adds up by every group, costs what its price says, and leaves as CSV that spreadsheets read safely."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bethink.errors import AccountExists, UnknownAccount
from bethink.server.accounts import LOCAL, Accounts, LedgerRow, Price, UsageLine, UsageRow, write_csv
from bethink.server.accounts.prices import PriceList
from bethink.server.accounts.values import as_time, as_us
from tests.unit.server.accounts.conftest import NOVEMBER_S

Line = Callable[..., UsageLine]
pytestmark = pytest.mark.anyio
DAY_S = 86400.0
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def price(model: str, valid_from: datetime = NEW_YEAR, answer: str = "4") -> Price:
    return Price(model, valid_from, Decimal("0.5"), Decimal("0.1"), Decimal(2), Decimal(answer))


async def use(accounts: Accounts, key: str, line: UsageLine) -> None:
    principal = accounts.principal(accounts.directory.key(key).id) if key else LOCAL
    (await accounts.admit(principal, line.model, 1)).settle(line)


async def test_usage_adds_up_by_every_group(accounts: Accounts, line: Line) -> None:
    accounts.directory.create_workspace("research")
    accounts.directory.create_key("a", user="Ann")
    accounts.directory.create_key("b", workspace="research", user="Bob")
    accounts.prices.add(price("m"))
    today = datetime.fromtimestamp(NOVEMBER_S, UTC)
    await use(accounts, "a", line("r0"))
    await use(accounts, "a", line("r1", finished_s=NOVEMBER_S - DAY_S, probe_tokens=5, discarded_tokens=6))
    await use(accounts, "b", line("r2", model="other"))
    await use(accounts, "", line("r3"))

    def named(rows: list[UsageRow]) -> dict[str, tuple[int, int]]:
        return {row.name: (row.n_requests, row.total_tokens) for row in rows}

    assert named(accounts.usage("day")) == {
        f"{today - timedelta(days=1):%Y-%m-%d}": (1, 11),
        f"{today:%Y-%m-%d}": (3, 450),
    }
    assert named(accounts.usage("key")) == {"a": (2, 161), "b": (1, 150), "": (1, 150)}
    assert named(accounts.usage("user")) == {"Ann": (2, 161), "Bob": (1, 150), "": (1, 150)}
    assert named(accounts.usage("model")) == {"m": (3, 311), "other": (1, 150)}
    assert named(accounts.usage("workspace")) == {"default": (2, 161), "research": (1, 150), "local": (1, 150)}
    assert [row.id for row in accounts.usage("request")] == ["r0", "r2", "r3", "r1"]
    (other,) = [row for row in accounts.usage("model") if row.id == "other"]
    assert (other.cost, other.n_unpriced) == (None, 1)
    research = accounts.directory.workspace("research").id
    assert named(accounts.usage("key", workspace=research)) == {"b": (1, 150)}
    assert {row.id for row in accounts.usage("request", most=2)} == {"r2", "r3"}
    ci = accounts.directory.key("a").id
    assert [row.request_id for row in accounts.rows(key=ci)] == ["r0", "r1"]
    assert named(accounts.usage("model", model="other")) == {"other": (1, 150)}
    assert [row.request_id for row in accounts.rows(workspace=research)] == ["r2"]


async def test_a_span_holds_its_beginning_and_not_its_end(accounts: Accounts, line: Line) -> None:
    for second in range(4):
        await use(accounts, "", line(f"r{second}", finished_s=NOVEMBER_S + second))
    since, until = (as_time(int((NOVEMBER_S + second) * 1e6)) for second in (1, 3))
    assert [row.request_id for row in accounts.rows(since, until)] == ["r1", "r2"]
    assert accounts.usage("day", since, until)[0].n_requests == 2
    assert accounts.usage("day", until, since) == []


async def test_days_are_those_of_utc(accounts: Accounts, line: Line) -> None:
    midnight_s = datetime(2026, 11, 25, tzinfo=UTC).timestamp()
    for name, finished_s in (("before", midnight_s - 1e-6), ("after", midnight_s), ("epoch", 0.0)):
        await use(accounts, "", line(name, finished_s=finished_s))
    assert [row.id for row in accounts.usage("day")] == ["1970-01-01", "2026-11-24", "2026-11-25"]


async def test_a_request_costs_what_its_model_cost_when_it_finished(accounts: Accounts, line: Line) -> None:
    accounts.prices.add(price("m"))
    accounts.prices.add(price("m", datetime(2026, 12, 1, tzinfo=UTC), answer="40"))
    await use(accounts, "", line("now", probe_tokens=3, discarded_tokens=7))
    await use(accounts, "", line("full"))
    await use(accounts, "", line("later", finished_s=NOVEMBER_S + 30 * DAY_S, answer_tokens=1))
    await use(accounts, "", line("before", finished_s=NEW_YEAR.timestamp() - 1))
    costs = {row.request_id: row.cost for row in accounts.rows()}
    # 80 read at 0.5, 20 cached at 0.1, 40 thought at 2, 10 answered at 4, for a million
    assert costs == {
        "now": Decimal("0.00002"),
        "full": Decimal("0.000162"),
        "later": Decimal("0.00004"),
        "before": None,
    }


async def test_a_ledger_of_thousands_is_read_row_by_row(accounts: Accounts, line: Line) -> None:
    futures = [accounts.record(LOCAL, line(input_tokens=1)) for _ in range(2500)]
    for future in futures:
        future.result(60)
    assert sum(row.input_tokens for row in accounts.rows()) == 2500


async def test_usage_has_no_limit_in_money(accounts: Accounts, line: Line) -> None:
    accounts.prices.add(Price("m", NEW_YEAR, *[Decimal(10) ** 6] * 4))
    await use(accounts, "", line(input_tokens=2**53))
    assert accounts.usage("day")[0].input_tokens == 2**53
    assert accounts.usage("day")[0].cost == Decimal(2**63 - 1) / 10**9, "cut to what a row can hold"


def test_prices_are_found_by_name_then_pattern_then_day() -> None:
    later = datetime(2026, 6, 1, tzinfo=UTC)
    prices = PriceList([price("*"), price("qwen3:*"), price("qwen3:4b"), price("qwen3:4b", later, "9"), price("q[w]*")])

    def at(model: str, moment: datetime) -> tuple[str, Decimal] | None:
        found = prices.at(model, as_us(moment))
        return (found.model, found.answer) if found else None

    assert at("qwen3:4b", NEW_YEAR) == ("qwen3:4b", 4)
    assert at("qwen3:4b", later) == ("qwen3:4b", 9)
    assert at("qwen3:8b", later) == ("qwen3:*", 4)
    assert at("other", later) == ("*", 4)
    assert at("qwen3:4b", NEW_YEAR - timedelta(microseconds=1)) is None
    assert PriceList().at("m", 0) is None


COUNT = st.integers(0, 10**9)
AMOUNT = st.decimals(0, 1000, places=6)


@given(counts=st.tuples(COUNT, COUNT, COUNT, COUNT), amounts=st.tuples(AMOUNT, AMOUNT, AMOUNT, AMOUNT))
def test_a_cost_is_exact_to_a_billionth(counts: tuple[int, ...], amounts: tuple[Decimal, ...]) -> None:
    fresh, cached, thinking, answer = counts
    prices = PriceList([Price("m", NEW_YEAR, *amounts)])
    line = UsageLine("r", "m", "d", "ok", as_us(NEW_YEAR), fresh + cached, cached, thinking, answer)
    cost = prices.cost_nano(line)
    exact = sum((n * amount for n, amount in zip(counts, amounts, strict=True)), Decimal(0)) / 10**6
    assert cost is not None
    assert abs(Decimal(cost) / 10**9 - exact) <= Decimal("0.0000000005")


@pytest.mark.parametrize("amount", ["-1", "0.0000001", "1000001", "NaN", "Infinity"])
def test_amounts_that_cannot_be_kept_exactly_are_refused(amount: str) -> None:
    with pytest.raises(ValueError, match="the price of answer"):
        price("m", answer=amount)


def test_prices_are_listed_added_once_and_removed(accounts: Accounts) -> None:
    accounts.prices.add(price("m"))
    accounts.prices.add(price("m", datetime(2027, 1, 1, tzinfo=UTC)))
    with pytest.raises(AccountExists, match="m has a price from 2026-01-01"):
        accounts.prices.add(price("m"))
    assert [p.valid_from.year for p in accounts.prices.list()] == [2026, 2027]
    assert accounts.prices.list()[0] == price("m")
    assert accounts.prices.remove("m", NEW_YEAR) == 1
    assert accounts.prices.remove("m") == 1
    with pytest.raises(UnknownAccount, match="no such price of m"):
        accounts.prices.remove("m")


async def test_csv_holds_every_row_and_no_formula(accounts: Accounts, line: Line, tmp_path: Path) -> None:
    evil = '=HYPERLINK("http://evil", "x")'
    accounts.directory.create_key(evil, user="+1")
    accounts.prices.add(price("*"))
    await use(accounts, evil, line('a,"b"', model="-2+3"))
    await use(accounts, evil, replace(line("@x"), trace_id="20261125-120000-abcdef"))
    file = tmp_path / "usage.csv"
    with file.open("w", encoding="utf-8", newline="") as out:
        assert write_csv(accounts.rows(), LedgerRow, out) == 2
    raw = file.read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n") == 3
    first, second = csv.DictReader(io.StringIO(raw.decode("utf-8"), newline=""))
    assert list(first) == [field.name for field in fields(LedgerRow)]
    assert (first["key"], first["user"], first["model"]) == (f"'{evil}", "'+1", "'-2+3")
    assert (first["request_id"], second["request_id"], second["cost"]) == ('a,"b"', "'@x", "0.000162")
    assert first["finished"] == datetime.fromtimestamp(NOVEMBER_S, UTC).isoformat()


@given(name=st.text(max_size=20))
def test_no_text_of_a_csv_begins_as_a_formula(name: str) -> None:
    out = io.StringIO(newline="")
    write_csv([UsageRow(name, name, 1, 0, 0, 0, 0, 0, 0, Decimal(0), None, 0)], UsageRow, out)
    _, row = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert row[0] in (name, f"'{name}")
    assert not row[0].lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
