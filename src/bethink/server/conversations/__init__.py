"""Conversations of the chat page: trees of questions and answers, kept, and answers that go on when nobody looks."""
