"""The dialects, one file each: a body becomes an `Ask`, and what happens becomes bytes again. They never import each
other."""
