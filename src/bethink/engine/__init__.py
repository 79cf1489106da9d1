"""The seam to hardware and the engines behind it. `open_engine` loads a model on the engine that suits it."""

from bethink.engine.files import EngineFiles
from bethink.engine.opening import ENGINES, open_engine

__all__ = ["ENGINES", "EngineFiles", "open_engine"]
