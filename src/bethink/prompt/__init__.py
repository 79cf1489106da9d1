"""Messages to token ids and ids to text: the tokenizer, the chat template, and the two together without injection."""

from bethink.prompt.render import Prompt, Span, render
from bethink.prompt.template import Template
from bethink.prompt.tokenizer import Detokenizer, Tokenizer
from bethink.prompt.truncation import without_oldest
from bethink.prompt.turns import last_question
from bethink.prompt.vocabulary import tokenizer_from_gguf

__all__ = [
    "Detokenizer",
    "Prompt",
    "Span",
    "Template",
    "Tokenizer",
    "last_question",
    "render",
    "tokenizer_from_gguf",
    "without_oldest",
]
