"""A trace for people: its story, its picture over time, and a page of both that needs nothing else; no terminal."""
