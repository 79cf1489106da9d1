"""Ollama: chat and generate."""
