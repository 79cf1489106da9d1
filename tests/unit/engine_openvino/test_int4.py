"""Rounding to four bits: what is stored is what was meant, and calibration makes products better, not weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bethink.engine.openvino.int4 import Floats, Grouped, group_of, inverse_factor, packed, quantise_groups

N_COLUMNS = 256


def restored(made: Grouped) -> Floats:
    n_rows, n_groups, _ = made.scales.shape
    values = made.values.astype(np.float32).reshape(n_rows, n_groups, -1)
    return ((values - made.zeros) * made.scales.astype(np.float32)).reshape(n_rows, -1)


def correlated_inputs(random: np.random.Generator, n: int) -> Floats:
    """Inputs as layers see them: few directions, of very different sizes."""
    basis = np.random.default_rng(0).standard_normal((24, N_COLUMNS)) * np.logspace(1, -1, 24)[:, None]
    return (random.standard_normal((n, 24)) @ basis + 0.05 * random.standard_normal((n, N_COLUMNS))).astype(np.float32)


@pytest.mark.parametrize("group", [64, 128])
def test_products_err_less_than_with_plain_rounding(group: int) -> None:
    random = np.random.default_rng(1)
    rows = random.standard_normal((40, N_COLUMNS)).astype(np.float32)
    seen, unseen = correlated_inputs(random, 400), correlated_inputs(random, 100)
    plain = quantise_groups(rows, group, np.eye(N_COLUMNS, dtype=np.float32))
    calibrated = quantise_groups(rows, group, inverse_factor(seen.T @ seen))

    def error(made: Grouped) -> float:
        return float(np.linalg.norm(unseen @ (restored(made) - rows).T) / np.linalg.norm(unseen @ rows.T))

    assert error(calibrated) < 0.7 * error(plain)


def test_rows_do_not_look_at_each_other() -> None:
    random = np.random.default_rng(2)
    rows = random.standard_normal((6, N_COLUMNS)).astype(np.float32)
    seen = correlated_inputs(random, 300)
    factor = inverse_factor(seen.T @ seen)
    others = np.concatenate([rows[:1], 100 * random.standard_normal((5, N_COLUMNS)).astype(np.float32)])
    one, two = quantise_groups(rows, 64, factor), quantise_groups(others, 64, factor)
    np.testing.assert_array_equal(one.values[0], two.values[0])
    np.testing.assert_array_equal(one.scales[0], two.scales[0])


@given(arrays.arrays(np.float32, (2, 64), elements=st.floats(-1000, 1000, width=32)))
def test_any_row_is_within_reach_of_itself(rows: Floats) -> None:
    made = quantise_groups(rows, 64, np.eye(64, dtype=np.float32))
    spread = rows.max(axis=1, initial=0.0) - rows.min(axis=1, initial=0.0)
    assert made.values.max() <= 15
    assert (np.abs(restored(made) - rows).max(axis=1) <= 0.21 * spread + 1e-5).all()


def test_inputs_that_calibration_never_saw_do_no_harm() -> None:
    rows = np.random.default_rng(3).standard_normal((4, 64)).astype(np.float32)
    made = quantise_groups(rows, 64, inverse_factor(np.zeros((64, 64), dtype=np.float32)))
    assert np.abs(restored(made) - rows).max() < 0.5


def test_the_factor_is_that_of_the_inverse() -> None:
    inputs = np.random.default_rng(4).standard_normal((200, 64)).astype(np.float32)
    moments = inputs.T @ inputs
    damped = moments + 0.01 * np.trace(moments) / 64 * np.eye(64)
    factor = inverse_factor(moments)
    np.testing.assert_allclose(factor.T @ factor @ damped, np.eye(64), atol=1e-3)
    assert not np.tril(factor, -1).any()


def test_two_values_share_a_byte_low_half_first() -> None:
    assert packed(np.array([[1, 2], [15, 0]], dtype=np.uint8)).tolist() == [0x21, 0x0F]


@pytest.mark.parametrize(("n_columns", "group"), [(1536, 128), (576, 64), (96, None)])
def test_groups_divide_a_row(n_columns: int, group: int | None) -> None:
    assert group_of(n_columns) == group
