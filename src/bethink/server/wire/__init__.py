"""The dialects, one room each: a body becomes an `Ask`, and what happens becomes bytes again. They never import each
other; `dialects` says which path speaks which."""
