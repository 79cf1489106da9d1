"""Plain numbers, exactly: the answers that need no algebra.

`parse_number` reads what people and models write for one number (money, percent, thousands separators, fractions,
powers of ten, a unit after it) as a `Fraction`, and refuses everything that it is not sure of. Time and memory are
bounded by the length it accepts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_CHARS = 120
MAX_EXPONENT = 300

_SHORT_UNITS = frozenset(
    {
        "m",
        "cm",
        "mm",
        "km",
        "g",
        "kg",
        "mg",
        "t",
        "l",
        "ml",
        "s",
        "h",
        "hr",
        "hrs",
        "min",
        "ft",
        "in",
        "yd",
        "mi",
        "lb",
        "lbs",
        "oz",
    }
    | {
        "mph",
        "kmh",
        "km/h",
        "m/s",
        "am",
        "pm",
        "c",
        "f",
        "°",
        "°c",
        "°f",
        "v",
        "w",
        "kw",
        "j",
        "n",
        "pa",
        "hz",
        "usd",
        "eur",
    }
)
_NO_UNITS = frozenset(
    {"sqrt", "root", "log", "sin", "cos", "tan", "exp", "over", "plus", "minus", "times", "divided", "squared", "cubed"}
    | {
        "factorial",
        "mod",
        "infinity",
        "and",
        "or",
        "to",
        "power",
        "choose",
        "theta",
        "alpha",
        "beta",
        "gamma",
        "lambda",
    }
)
_SCALES = {"hundred": 10**2, "thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_WORDS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16,
    "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20,
}  # fmt: skip
_TEXT = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|mbox|operatorname)\s*\{([^{}]*)\}")
_SPACING = re.compile(r"\\[,;:!> ]|\\q?quad(?![a-zA-Z])|~|\u00a0|\u202f|\u2009")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:(?:,|\{,\})\d{3})+(?![\d])")
_FRAC = re.compile(r"\\[dt]?frac\s*(?:\{\s*([^{}]*?)\s*\}|(\d))\s*(?:\{\s*([^{}]*?)\s*\}|(\d))")
_DECIMAL = r"(?:\d+\.?\d*|\.\d+)"
_NUMBER = re.compile(
    rf"(?P<sign>[-+]?)\s*(?:(?P<whole>\d+)\s+(?P<num>\d+)\s*/\s*(?P<den>\d+)"
    rf"|(?P<top>{_DECIMAL})\s*/\s*(?P<bottom>{_DECIMAL})"
    rf"|(?P<value>{_DECIMAL})(?:\s*(?:[eE]|(?:\*|x|×|\\times|\\cdot)\s*10\s*(?:\^|\*\*)\s*)\{{?(?P<exponent>[-+]?\d+)\}}?)?)"
)
_MONEY = re.compile(r"[$€£¥₹]|\\\$|\b(?:USD|EUR|GBP|Rs\.?)(?=\s*-?[\d.])")
_VULGAR = {"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8"}


@dataclass(frozen=True, slots=True)
class Number:
    """`value` as written: of `50 %` it is 50 and `is_percent`."""

    value: Fraction
    is_percent: bool = False

    @property
    def share(self) -> Fraction:
        """The value with the percent sign carried out."""
        return self.value / 100 if self.is_percent else self.value


def parse_number(text: str) -> Number | None:
    """The one number that `text` is, or None when it is none, several, or something that needs algebra."""
    if len(text) > MAX_CHARS:
        return None
    text = _plain(text)
    if text.lower() in _WORDS:
        return Number(Fraction(_WORDS[text.lower()]))
    match = _NUMBER.match(text)
    if match is None:
        return None
    value = _value(match)
    rest = text[match.end() :].strip()
    if value is None:
        return None
    is_percent = rest.startswith("%")
    scale = _scale_and_unit(rest[1:].strip() if is_percent else rest)
    if rest.lower().startswith(("percent", "per cent")):
        is_percent, scale = True, 1
    return None if scale is None else Number(value * scale, is_percent)


def _plain(text: str) -> str:
    """LaTeX and typography of a plain number, spelled in ASCII."""
    text = _SPACING.sub(" ", text.strip())
    text = text.replace("−", "-").replace("–", "-").replace("\\%", "%").replace("％", "%")
    text = _TEXT.sub(r" \1 ", text)
    text = _MONEY.sub(" ", text.replace("\\(", " ").replace("\\)", " ").replace("\\[", " ").replace("\\]", " "))
    text = _THOUSANDS.sub(lambda m: m[0].replace("{,}", "").replace(",", ""), text)
    text = _FRAC.sub(lambda m: f" {m[1] or m[2] or ''}/{m[3] or m[4] or ''}", text)
    for sign, spelled in _VULGAR.items():
        text = text.replace(sign, f" {spelled}")
    text = re.sub(r"^-\s+(?=[\d.])", "-", " ".join(text.split()))
    return re.sub(r"^\((.*)\)$", r"\1", text.strip("* ")).rstrip(".").strip()


def _value(match: re.Match[str]) -> Fraction | None:
    if match["whole"]:
        top, bottom = Fraction(match["num"]), Fraction(match["den"])
        value = Fraction(match["whole"]) + top / bottom if bottom else None
    elif match["top"]:
        top, bottom = Fraction(match["top"]), Fraction(match["bottom"])
        value = top / bottom if bottom else None
    else:
        exponent = match["exponent"] or "0"
        if len(exponent) > 4 or abs(int(exponent)) > MAX_EXPONENT:
            return None
        value = Fraction(match["value"]) * Fraction(10) ** int(exponent)
    return -value if value is not None and match["sign"] == "-" else value


def _scale_and_unit(rest: str) -> int | None:
    """What the words after a number multiply it by; None when they are more than a unit."""
    words = rest.lower().split()
    scale = 1
    while words and words[0] in _SCALES:
        scale *= _SCALES[words.pop(0)]
    return scale if len(words) <= 4 and all(map(_is_unit_word, words)) else None


def _is_unit_word(word: str) -> bool:
    if re.sub(r"(?:\^\{?[23]\}?|[²³])$", "", word) in _SHORT_UNITS or word in ("of", "per", "a", "an"):
        return True
    letters = word.strip("().,").replace("-", "").replace("/", "").replace("'", "")
    return len(letters) >= 3 and letters.isalpha() and letters not in _NO_UNITS
