"""The share of the machine's own limits that decoding reaches: bytes read a second, multiply-adds a second.

    python bench/limits.py --model qwen2.5-coder:0.5b

One path has to read every weight for each token: its limit is the memory's. Many paths share that reading, and are
limited by arithmetic. Both limits are measured here, on this machine, in this run: reading as the best of several sums
over two gigabytes with one thread a core; arithmetic as the best rate of one large OpenVINO layer with int8 weights and
inputs rounded to int8, which is what the engine computes with.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
import openvino.opset13 as opset13
import psutil
from speed import PATHS, arm, prepared_folder
from table import machine, show

from bethink.config import Settings
from bethink.store import Store
from bethink.store.fit import matrix_weights
from bethink.store.gguf import read_header

ops: Any = opset13
GIB_EACH = 1 << 30
WIDTH, ROWS, BATCH = 4096, 4096, 512


def read_bandwidth() -> float:
    """Bytes a second."""
    n_threads = psutil.cpu_count(logical=False) or 1
    parts = [np.ones(GIB_EACH // 4, dtype=np.float32) for _ in range(n_threads)]

    def read(part: npt.NDArray[np.float32]) -> float:
        return float(part.max())  # a sum would be bound by its additions

    best = float("inf")
    with ThreadPoolExecutor(n_threads) as threads:
        for _ in range(5):
            began = time.perf_counter()
            list(threads.map(read, parts))
            best = min(best, time.perf_counter() - began)
    return n_threads * GIB_EACH / best


def multiply_adds() -> float:
    """A second, in one layer of `WIDTH` times `ROWS` int8 weights for `BATCH` inputs."""
    inputs = ops.parameter([-1, WIDTH], np.float32)
    random = np.random.default_rng(0)
    weights = ops.constant(random.integers(0, 255, (ROWS, WIDTH), dtype=np.uint8))
    zeros = ops.constant(np.full((ROWS, 1), 128, dtype=np.uint8))
    scales = ops.constant(np.full((ROWS, 1), 1e-3, dtype=np.float16))
    shifted = ops.subtract(ops.convert(weights, "f16"), ops.convert(zeros, "f16"))
    layer = ops.matmul(inputs, ops.convert(ops.multiply(shifted, scales), "f32"), False, True)
    new_model: Any = ov.Model
    core: Any = ov.Core()
    hints = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "128"}
    request = core.compile_model(new_model([ops.result(layer)], [inputs], "layer"), "CPU", hints).create_infer_request()
    values = random.standard_normal((BATCH, WIDTH)).astype(np.float32)
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        request.infer([values])
        best = min(best, time.perf_counter() - began)
    return WIDTH * ROWS * BATCH / best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="qwen2.5-coder:0.5b")
    parser.add_argument("--measure", choices=("bandwidth", "arithmetic"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(read_bandwidth() if given.measure == "bandwidth" else multiply_adds())
        return
    bandwidth, peak = (_apart(what) for what in ("bandwidth", "arithmetic"))
    rates = arm("bethink", given.model)  # it also fetches and prepares what is missing
    header = read_header(Store(Settings.from_env().home).get(given.model).path)
    n_weights = matrix_weights(header)
    n_bytes = (prepared_folder(given.model) / "openvino_model.bin").stat().st_size
    n_bytes -= next(t.n_elements for t in header.tensors if t.name == "token_embd.weight")  # a row of it is read
    rows: list[list[object]] = []
    for n in PATHS:
        read, computed = n_bytes * rates[n] / n, n_weights * rates[n]
        rows.append(
            [
                n,
                f"{rates[n]:.1f}",
                f"{read / 1e9:.1f} GB/s, {100 * read / bandwidth:.0f} %",
                f"{computed / 1e9:.0f} G/s, {100 * computed / peak:.0f} %",
            ]
        )
    print(machine())
    show(
        f"{given.model} against {bandwidth / 1e9:.1f} GB/s of reading and {peak / 1e9:.0f} G multiply-adds/s in int8",
        ["paths", "tokens/s", "weights read", "multiply-adds"],
        rows,
    )


def _apart(what: str) -> float:
    """Measured in a process of its own, so that nothing else holds its memory or threads."""
    command = [sys.executable, __file__, "--measure", what]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
