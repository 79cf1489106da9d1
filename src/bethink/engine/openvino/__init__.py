"""The OpenVINO GenAI engine and everything that makes a model ready for it.

OpenVINO's package for usage statistics is kept from being imported: it would tell a third party of every start, from a
process that it forks and that can hang for ever. OpenVINO itself does without it.
"""

import sys

sys.modules["openvino_telemetry"] = None  # pyright: ignore[reportArgumentType]  # "there is no such module"
