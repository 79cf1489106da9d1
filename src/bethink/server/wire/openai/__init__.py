"""OpenAI: chat completions, completions and Responses."""
