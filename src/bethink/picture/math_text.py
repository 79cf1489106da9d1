r"""Mathematics in an answer as plain Unicode: `\(\frac{1}{2}\)` reads 1/2, `x^2` reads x², `\boxed{42}` reads **42**.

What always holds: the meaning is kept, or the LaTeX is shown as it came. A formula with one command that is not known
here is left alone as a whole. Code in the Markdown around it is never touched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_FORMULA = 1000
MAX_DEPTH = 24

_SUPERSCRIPTS = dict(
    zip("0123456789+-=()niabcdefghjklmoprstuvwxyz", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱᵃᵇᶜᵈᵉᶠᵍʰʲᵏˡᵐᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True)
)
_SUBSCRIPTS = dict(zip("0123456789+-=()aeijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
_SETS = {"R": "ℝ", "N": "ℕ", "Z": "ℤ", "Q": "ℚ", "C": "ℂ", "P": "ℙ"}
_LETTERS = """
alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ
mu μ nu ν xi ξ pi π rho ρ sigma σ tau τ upsilon υ phi φ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ
Lambda Λ Xi Ξ Pi Π Sigma Σ Phi Φ Psi Ψ Omega Ω hbar ℏ ell ℓ infty ∞ emptyset ∅ varnothing ∅ partial ∂ nabla ∇
aleph ℵ Re ℜ Im ℑ
"""
_SIGNS = """
cdot · times × div ÷ pm ± mp ∓ ast ∗ star ⋆ circ ∘ bullet • oplus ⊕ otimes ⊗ le ≤ leq ≤ leqslant ≤ ge ≥ geq ≥
geqslant ≥ lt < gt > ne ≠ neq ≠ approx ≈ equiv ≡ cong ≅ sim ∼ simeq ≃ propto ∝ ll ≪ gg ≫ in ∈ notin ∉ ni ∋
subset ⊂ subseteq ⊆ supset ⊃ supseteq ⊇ cup ∪ cap ∩ setminus ∖ land ∧ wedge ∧ lor ∨ vee ∨ lnot ¬ neg ¬ forall
∀ exists ∃ to → rightarrow → longrightarrow ⟶ leftarrow ← leftrightarrow ↔ Rightarrow ⇒ implies ⇒ Leftarrow ⇐
iff ⇔ Leftrightarrow ⇔ mapsto ↦ uparrow ↑ downarrow ↓ mid | parallel ∥ perp ⊥ angle ∠ triangle △ sum ∑ prod ∏
int ∫ oint ∮ ldots … dots … cdots ⋯ vdots ⋮ therefore ∴ because ∵ degree ° prime ′ checkmark ✓ lfloor ⌊ rfloor
⌋ lceil ⌈ rceil ⌉ langle ⟨ rangle ⟩ lvert | rvert | vert | lbrace { rbrace } colon : models ⊨ vdash ⊢ top ⊤
bot ⊥ blacksquare ∎ square □
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _table(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


_SYMBOLS: Final = _table(_LETTERS) | _table(_SIGNS)
_FUNCTIONS = _words(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp lim max min gcd lcm det deg mod"
)
_TEXTS = _words(
    "text textbf textit textrm mathrm mathbf mathit mathsf mathtt operatorname mbox textnormal boldsymbol bm"
)
_SIZES = _words("big Big bigg Bigg bigl bigr Bigl Bigr displaystyle textstyle limits nolimits ! hline nonumber")
_SPACES = _words(", ; : > quad qquad thinspace") | {" "}
_ENVIRONMENTS = _words("aligned align align* equation equation* gather gather* gathered split")


class _Unknown(Exception):
    """The formula holds something that is not known here."""


@dataclass(slots=True)
class _Atom:
    """A piece of output. A loose one (a fraction, a root) is bracketed before it is raised, and keeps its distance."""

    text: str
    is_loose: bool = False


def readable_math(markdown: str) -> str:
    """Markdown with its simple formulas turned into Unicode; the result is Markdown."""
    return _PIECES.sub(_replace, markdown)


def plain(latex: str) -> str | None:
    """One formula as text, lines separated by newlines; None when it is not simple enough."""
    if len(latex) > MAX_FORMULA:
        return None
    try:
        parser = _Parser(latex)
        text = parser.run("").text
    except _Unknown:
        return None
    lines = [re.sub(r"[ \t]+", " ", line).strip() for line in text.split("\n")]
    return "\n".join(line for line in lines if line) or None


_BOXED = r"\\boxed\{(?:[^{}\n]|\{(?:[^{}\n]|\{[^{}\n]*\})*\})*\}"
_CODE = (
    r"^ {0,3}(?P<fence>```+|~~~+)[^\n]*\n.*?(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)"
    r"|(?<!`)(?P<tick>`++)[^\n]*?(?<!`)(?P=tick)(?!`)"
)
_BLOCK = rf"\\\[(?P<block>.{{1,{MAX_FORMULA}}}?)\\\]|\$\$(?P<dollars>[^$]{{1,{MAX_FORMULA}}})\$\$"
_INLINE = (
    rf"\\\((?P<inline>.{{1,{MAX_FORMULA}}}?)\\\)"
    r"|(?<![\\$\w])\$(?P<dollar>[^\s$](?:[^$\n]{0,300}[^\s$\\])?)\$(?![\d$])"
)
_PIECES: Final = re.compile(
    rf"(?P<code>{_CODE})|{_BLOCK}|{_INLINE}|(?P<boxed>{_BOXED})",
    re.DOTALL | re.MULTILINE,
)


def _replace(match: re.Match[str]) -> str:
    if match["code"] is not None:
        return match[0]
    block = match["block"] or match["dollars"]
    source = block or match["inline"] or match["dollar"] or match["boxed"]
    text = plain(source)
    if text is None:
        return _as_code(match[0], is_block=bool(block))
    is_box = re.fullmatch(_BOXED, source.strip().rstrip(".").strip()) is not None
    shown = "  \n".join(f"**{_escaped(line)}**" if is_box else _escaped(line) for line in text.split("\n"))
    return f"\n\n{shown}\n\n" if block else shown


def _as_code(formula: str, *, is_block: bool) -> str:
    """A formula that is not simple, kept from being read as Markdown."""
    if "`" in formula:
        return formula
    if is_block:
        return f"\n\n```latex\n{formula.strip()}\n```\n\n"
    return f"`{formula}`" if "\n" not in formula else formula


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|~$])", r"\\\1", text)


class _Parser:
    """Recursive descent over one formula, in time linear in its length."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.depth = 0

    def run(self, end: str) -> _Atom:
        """Everything up to `end` ("" is the end of the formula), which is consumed."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Unknown
        parts: list[_Atom] = []
        while True:
            if self.at >= len(self.source):
                if end:
                    raise _Unknown
                break
            if end and self.source[self.at] == end:
                self.at += 1
                break
            self._step(parts)
        self.depth -= 1
        return _Atom(_joined(parts), is_loose=any(part.is_loose for part in parts))

    def _step(self, parts: list[_Atom]) -> None:
        char = self.source[self.at]
        if char in "^_":
            self.at += 1
            raised = self._argument()
            base = parts.pop() if parts else _Atom("")
            parts.append(_Atom(_bracketed(base) + _script(raised.text, char)))
            return
        parts.append(self._atom())

    def _atom(self) -> _Atom:
        char = self.source[self.at]
        self.at += 1
        if char == "\\":
            return self._command()
        if char == "{":
            return self.run("}")
        if char in "}$%#":
            raise _Unknown
        if char == "&":
            return _Atom(" ")
        return _Atom({"~": " ", "\n": " ", "'": "′"}.get(char, char))

    def _argument(self) -> _Atom:
        while self.at < len(self.source) and self.source[self.at].isspace():
            self.at += 1
        if self.at >= len(self.source) or self.source[self.at] in "^_&":
            raise _Unknown
        return self._atom()

    def _command(self) -> _Atom:
        match = re.compile(r"[a-zA-Z]+\*?|.", re.DOTALL).match(self.source, self.at)
        if match is None:
            raise _Unknown
        name = match[0]
        self.at = match.end()
        if name in _SYMBOLS:
            return _Atom(_SYMBOLS[name])
        if name in _SPACES:
            return _Atom(" ")
        if name in ("left", "right"):
            return self._delimiter()
        if name in _SIZES:
            return _Atom("")
        if name in _FUNCTIONS:
            return _Atom(name)
        if name in "{}%$#&_":
            return _Atom(name)
        return self._structure(name)

    def _delimiter(self) -> _Atom:
        """`\\left.` shows nothing; any other delimiter shows itself."""
        if self.source[self.at : self.at + 1] == ".":
            self.at += 1
        return _Atom("")

    def _structure(self, name: str) -> _Atom:
        match name:
            case "frac" | "dfrac" | "tfrac" | "cfrac":
                over, under = self._argument(), self._argument()
                return _Atom(f"{_bracketed(_part(over))}/{_bracketed(_part(under))}", is_loose=True)
            case "sqrt":
                return self._root()
            case "boxed" | "fbox":
                return self._argument()
            case "pmod":
                return _Atom(f" (mod {self._argument().text})")
            case "bmod":
                return _Atom(" mod ")
            case "mathbb":
                return _Atom(_SETS.get(self._argument().text) or self._give_up())
            case "\\":
                return _Atom("\n")
            case "begin":
                return self._environment()
            case _ if name in _TEXTS:
                return self._text()
            case _:
                return _Atom(self._give_up())

    def _give_up(self) -> str:
        raise _Unknown

    def _root(self) -> _Atom:
        sign = "√"
        if self.source[self.at : self.at + 3] == "[3]":
            sign, self.at = "∛", self.at + 3
        elif self.source[self.at : self.at + 1] == "[":
            raise _Unknown
        return _Atom(sign + _bracketed(_part(self._argument())), is_loose=True)

    def _text(self) -> _Atom:
        if self.source[self.at : self.at + 1] != "{":
            raise _Unknown
        return _Atom(self._argument().text)

    def _environment(self) -> _Atom:
        match = re.compile(r"\{([a-z]+\*?)\}").match(self.source, self.at)
        if match is None or match[1] not in _ENVIRONMENTS:
            raise _Unknown
        end = self.source.find(f"\\end{{{match[1]}}}", match.end())
        if end < 0:
            raise _Unknown
        inner = _Parser(self.source[match.end() : end])
        inner.depth = self.depth
        self.at = end + len(match[1]) + 6
        return inner.run("")


def _part(atom: _Atom) -> _Atom:
    """An argument of a fraction or a root: loose unless it is one number, one name or bracketed already."""
    text = atom.text.strip()
    is_whole = re.fullmatch(r"\d[\d.,]*|\w|√\w|\([^()]*\)|\w[⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ₀₁₂₃₄₅₆₇₈₉]+", text) is not None
    return _Atom(text, is_loose=not is_whole)


def _bracketed(atom: _Atom) -> str:
    return f"({atom.text})" if atom.is_loose else atom.text


def _script(text: str, mark: str) -> str:
    text = text.strip()
    if mark == "^" and text in ("∘", "°"):
        return "°"
    if mark == "^" and text and set(text) <= {"′"}:
        return text
    table = _SUPERSCRIPTS if mark == "^" else _SUBSCRIPTS
    if text and all(char in table for char in text):
        return "".join(table[char] for char in text)
    return mark + (text if len(text) == 1 else f"({text})")


def _joined(parts: list[_Atom]) -> str:
    """A fraction beside a digit or a letter keeps its distance: 2½ must not become 21/2."""
    out = ""
    was_loose = False
    for part in parts:
        starts = part.text[:1].isalnum() or part.text[:1] == "("
        touches = out[-1:].isalnum() or out[-1:] == ")"
        is_close = touches and (part.is_loose or _begins_with_function(part.text))
        if starts and (is_close or (was_loose and out) or (_ends_in_function(out) and part.text[:1] != "(")):
            out += " "
        out += part.text
        was_loose = part.is_loose if part.text else was_loose
    return out


def _begins_with_function(text: str) -> bool:
    match = re.match(r"[a-z]{2,}", text)
    return match is not None and match[0] in _FUNCTIONS


def _ends_in_function(text: str) -> bool:
    match = re.search(r"([a-z]{2,})[₀₁₂₃₄₅₆₇₈₉²³]*$", text)
    return match is not None and match[1] in _FUNCTIONS
