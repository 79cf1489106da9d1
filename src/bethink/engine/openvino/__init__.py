"""The OpenVINO GenAI engine and everything that makes a model ready for it."""
