"""Everyday problems made afresh: sums in words, prices, speeds, ages, shares, counting and order, each with one number
as its answer. They need no file and no package; the seed and the number of a question decide it.

Half of the kinds take one or two steps, half three or four, so that small models get some right and larger ones not
all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from random import Random

from bethink.evals.answers import AnswerTask
from bethink.evals.task import Example, Made

MOST = 10_000
NAMES = ("Ana", "Ben", "Chiara", "Deniz", "Elif", "Femi", "Goran", "Hana", "Ivo", "Jun", "Kofi", "Lena")
THINGS = ("apples", "stamps", "marbles", "books", "shells", "pencils", "cards", "coins")

Problem = tuple[str, int]


def everyday(name: str, seed: int) -> AnswerTask:
    source = f"bethink's everyday problems, seed {seed}"
    digest = hashlib.sha256(f"1/{source}".encode()).hexdigest()
    return AnswerTask(name, Made(MOST, lambda i: _example(seed, i)), source, digest)


def _example(seed: int, i: int) -> Example:
    draw = Random(f"{seed}/{i}")
    question, answer = KINDS[i % len(KINDS)](draw)
    return Example(f"everyday-{seed}-{i}", question, str(answer))


def _sum(draw: Random) -> Problem:
    a, b, c = draw.randint(12, 99), draw.randint(3, 19), draw.randint(10, 400)
    return f"What is {a} * {b} + {c}?", a * b + c


def _left_over(draw: Random) -> Problem:
    name, thing = draw.choice(NAMES), draw.choice(THINGS)
    given, eaten, bags, each = draw.randint(3, 9), draw.randint(2, 9), draw.randint(3, 8), draw.randint(6, 15)
    told = f"{name} buys {bags} bags with {each} {thing} each, loses {eaten} of them and gives {given} away."
    return f"{told} How many {thing} has {name} left?", bags * each - eaten - given


def _price(draw: Random) -> Problem:
    shirts, hats, cost = draw.randint(2, 6), draw.randint(2, 6), 2 * draw.randint(4, 30)
    asked = f"How many dollars do {shirts} shirts and {hats} hats cost together?"
    return f"A shirt costs {cost} dollars and a hat half as much. {asked}", shirts * cost + hats * cost // 2


def _discount(draw: Random) -> Problem:
    cost, percent, n = 20 * draw.randint(2, 20), draw.choice((10, 20, 25, 40, 50)), draw.randint(2, 5)
    paid = n * cost * (100 - percent) // 100
    told = f"A lamp costs {cost} dollars. Today everything is {percent} % cheaper."
    return f"{told} How many dollars do {n} lamps cost today?", paid


def _speed(draw: Random) -> Problem:
    km_h, hours, more = 10 * draw.randint(4, 12), draw.randint(2, 5), 10 * draw.randint(1, 6)
    asked = "How many kilometres does it go in all?"
    told = f"A train goes {km_h} km/h for {hours} hours, then {km_h + more} km/h for another {2 * hours} hours."
    return f"{told} {asked}", km_h * hours + (km_h + more) * 2 * hours


def _ages(draw: Random) -> Problem:
    (a, b), age, gap, years = draw.sample(NAMES, 2), draw.randint(5, 15), draw.randint(2, 20), draw.randint(3, 12)
    told = f"{a} is {age} years old. {b} is {gap} years older than twice the age of {a}."
    return f"{told} How old will {b} be in {years} years?", 2 * age + gap + years


def _shares(draw: Random) -> Problem:
    thing, children, each, rest = draw.choice(THINGS), draw.randint(4, 9), draw.randint(5, 14), draw.randint(1, 3)
    total = children * each + rest
    told = f"{total} {thing} are shared out evenly among {children} children, as many to each as possible."
    return f"{told} How many {thing} are left over?", rest


def _queue(draw: Random) -> Problem:
    name, before, behind = draw.choice(NAMES), draw.randint(4, 30), draw.randint(4, 30)
    told = f"In a queue there are {before} people before {name} and {behind} people behind {name}."
    gone = draw.randint(1, before - 1)
    return f"{told} The first {gone} leave. How many people are in the queue now?", before + behind + 1 - gone


def _order(draw: Random) -> Problem:
    a, b, c, d = draw.sample(NAMES, 4)
    first, more, less = draw.randint(20, 60), draw.randint(3, 15), draw.randint(2, 12)
    told = f"{a} has {first} points. {b} has {more} more than {a}. {c} has {less} fewer than {b}."
    return (
        f"{told} {d} has as many as {a} and {c} together. How many points does {d} have?",
        first + first + more - less,
    )


def _weeks(draw: Random) -> Problem:
    name, minutes, days, weeks = draw.choice(NAMES), 5 * draw.randint(3, 12), draw.randint(3, 6), draw.randint(2, 5)
    missed = draw.randint(1, 3)
    told = f"{name} practises {minutes} minutes on {days} days of every week, but in all misses {missed} of those days."
    return f"{told} How many minutes does {name} practise in {weeks} weeks?", minutes * (days * weeks - missed)


def _heads(draw: Random) -> Problem:
    hens, cows = draw.randint(3, 25), draw.randint(2, 20)
    told = f"A farmer has hens with 2 legs and cows with 4 legs: {hens + cows} animals with {2 * hens + 4 * cows} legs."
    return f"{told} How many of them are cows?", cows


def _fence(draw: Random) -> Problem:
    wide, gap = draw.randint(4, 20), draw.randint(2, 5)
    long = wide * draw.randint(2, 4)
    perimeter = 2 * (wide * gap + long * gap)
    told = f"A garden is {wide * gap} metres wide and {long * gap} metres long."
    return f"{told} Around it stands a post every {gap} metres. How many posts are there?", perimeter // gap


KINDS: tuple[Callable[[Random], Problem], ...] = (
    _sum, _left_over, _price, _discount, _speed, _ages, _shares, _queue, _order, _weeks, _heads, _fence,
)  # fmt: skip
