"""Nothing is told of a start to anybody."""

from __future__ import annotations

import subprocess
import sys


def test_openvino_is_loaded_without_its_usage_statistics() -> None:
    code = (
        "import sys, bethink.engine.openvino.worker, openvino, openvino_genai;"
        "print(sorted(name for name, module in sys.modules.items() if 'openvino_telemetry' in name and module))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
