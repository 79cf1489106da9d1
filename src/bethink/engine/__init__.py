"""The seam to hardware and the engines behind it. `opening.open_engine` loads a model on the engine that suits it."""
