"""Who comes in: which page, which name, which key; each request is written down once."""
