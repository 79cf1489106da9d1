"""The process that holds the weights: `python -m bethink.engine.llamacpp.server`, told what to load on standard input.

It prints one line, its address, once the model is loaded, and ends with its standard input. It listens on loopback
only and answers nobody without the key it was given.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def main() -> None:
    import xllamacpp

    native: Any = xllamacpp  # it ships without types
    wish: dict[str, Any] = json.loads(sys.stdin.readline())
    params = native.CommonParams()
    params.model.path = wish["path"]
    params.n_ctx = wish["n_ctx"]
    params.n_parallel = wish["n_parallel"]
    params.kv_unified = wish["is_kv_shared"]
    params.n_ubatch = wish["n_ubatch"]
    params.n_batch = max(wish["n_ubatch"], wish["n_parallel"])  # more would let one prompt stop all other paths
    params.n_gpu_layers = wish["n_gpu_layers"]
    params.cpuparams.n_threads = wish["n_threads"]
    params.cpuparams_batch.n_threads = wish["n_threads"]
    params.n_threads_http = wish["n_parallel"] + 4
    params.api_keys = [wish["key"]]
    params.hostnames = ["127.0.0.1"]
    params.fit_params = False  # what does not fit is an error, never a silently smaller context
    params.cont_batching = True
    params.endpoint_slots = False
    params.ui = False
    params.verbosity = 1  # errors only; they are the obituary
    server = native.Server(params)
    sys.stdout.write(json.dumps({"address": server.listening_address}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    os._exit(0)  # an orderly end would wait for paths that nobody reads any more


if __name__ == "__main__":
    main()
