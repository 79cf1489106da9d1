"""Strings of every kind to tokenize: a fixed list of known trouble, then random mixtures from a fixed seed."""

from __future__ import annotations

import random

FIXED = (
    "",
    "a",
    " ",
    "  ",
    "\n",
    "\n\n\n",
    "\t\tx",
    "a  b   c    d",
    "   lead",
    "trail   ",
    "\r\n\r\nx",
    "\n " * 50,
    "don't I'LL we've ſ 'ſ it'S",
    "1234567890 3.14 1,000,000 1e-9",
    "٣٤٥ १२३ ½ Ⅷ ²",
    "1" * 100,
    "a" * 500,
    "ab " * 300,
    "def f(x):\n    return x**2  # ok\n",
    '#include <stdio.h>\nint main(){printf("%d\\n",1);}',
    "SELECT * FROM t WHERE a>=1 AND b<>'x';",
    "<html>\n\t<p>Hi&nbsp;</p>\n</html>",
    "\\frac{1}{2} \\boxed{42} $x^2$",
    "你好，世界！今天天气怎么样？",
    "こんにちは世界カタカナ",
    "안녕하세요 세계",
    "مرحبا بالعالم",
    "שלום עולם",
    "Привет, мир!",
    "สวัสดีชาวโลก",
    "नमस्ते दुनिया",
    "👩‍👩‍👧‍👦 family 🏳️‍🌈 flag 🇩🇪 👍🏽",
    "é vs e\u0301 combining",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L",
    "\u200b zero\u200dwidth\ufeff",
    "\x00\x01\x02\x1f\x7f",
    "\u0085\u2028\u2029 line",
    "\u00a0nbsp\u3000ideographic",
    "<|im_start|>user\nhi<|im_end|>",
    "<|im_start",
    "<|endoftext|><|endoftext|>",
    "<tool_call>{}</tool_call>",
    "[PAD151700]",
    "<think>\nhm\n</think>",
    "ﬁ ligature Å Å Ω Ω",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝐀𝐁𝐂",
    "\ue000private\U0010fffd",
    "\ufffd\ufffe",
    "...!!!???---===+++",
    "'''\"\"\"```",
)
CODE = (
    "for (let i=0;i<n;++i) { a[i] += b[i]; }",
    "fn main() -> Result<(), Box<dyn Error>> { Ok(()) }",
    "public static void main(String[] args) {",
    "x = {k: v for k, v in d.items() if v is not None}",
    "git commit -m 'fix: a bug' && ls -la | grep foo",
    "$ pip install bethink==0.1.0",
    "λ x → x ∘ f ≠ ⊥ ∀ε>0 ∃δ",
    "class A(B):\n\tdef __init__(self, *args, **kwargs):\n\t\tsuper().__init__()",
    '<div class="x">{{ y | safe }}</div>',
    "0xDEADBEEF 0b1010 1_000_000 6.02e23",
    "/* comment */ // another\n# third",
)
WORDS = (
    "the of and Kosten naïve façade Straße crème œuvre jalapeño Ελλάδα Москва 東京 北京市 서울 القاهرة "
    "तमिल ไทย I'm you're they'd we'LL o'clock don’t x1 y2z3 HTTPServer snake_case camelCase "
    "UPPER 2024-11-23 12:34:56 99% $5.00 €3,50 #tag @user foo@bar.com https://x.org/a?b=c&d=e "
    "C++ C# .NET 🎉 🤖 ✅ — – … „quote“ «guill» <|im_end|> <|fim_prefix|> <tool_call> </think> "
    "ＦＵＬＬ ｈａｌｆ ｶﾅ é ñ q̃ "
)
GAPS = (" ", "  ", "\n", "\n\n", "\t", "", " \n ", "\r\n", ", ", "   ")
BLOCKS = (
    (0x00, 0x1F),
    (0x20, 0x7E),
    (0xA0, 0x24F),
    (0x300, 0x36F),
    (0x370, 0x5FF),
    (0x600, 0x6FF),
    (0x900, 0xDFF),
    (0xE00, 0xFFF),
    (0x1100, 0x11FF),
    (0x1E00, 0x1FFF),
    (0x2000, 0x2BFF),
    (0x3000, 0x30FF),
    (0x4E00, 0x9FFF),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFFEF),
    (0x10000, 0x10FFF),
    (0x1D400, 0x1D7FF),
    (0x1F300, 0x1FAFF),
)


def varied_strings(n: int, seed: int = 7) -> list[str]:
    rng = random.Random(seed)
    kinds = (_prose, _program, _one_block, _any_blocks, _mixture)
    return [*FIXED, *(rng.choice(kinds)(rng) for _ in range(n - len(FIXED)))]


def _prose(rng: random.Random) -> str:
    return "".join(rng.choice(WORDS.split()) + rng.choice(GAPS) for _ in range(rng.randrange(1, 25)))


def _program(rng: random.Random) -> str:
    indents = ("", "  ", "    ", "\t", "\t\t")
    return "\n".join(rng.choice(indents) + rng.choice(CODE) for _ in range(rng.randrange(1, 6)))


def _one_block(rng: random.Random) -> str:
    first, last = rng.choice(BLOCKS)
    return "".join(chr(rng.randint(first, last)) for _ in range(rng.randrange(1, 30)))


def _any_blocks(rng: random.Random) -> str:
    return "".join(chr(rng.randint(*rng.choice(BLOCKS))) for _ in range(rng.randrange(1, 30)))


def _mixture(rng: random.Random) -> str:
    number = str(rng.randrange(10 ** rng.randrange(1, 12)))
    return (
        rng.choice(WORDS.split())
        + rng.choice(GAPS) * rng.randrange(1, 6)
        + number
        + rng.choice(GAPS)
        + rng.choice(CODE)
    )
