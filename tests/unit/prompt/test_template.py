"""Chat templates: what published ones need works, and a hostile one is a clear error within its time, on any thread."""

# ruff: noqa: E501  a template is easier to read in one piece

from __future__ import annotations

import resource
import sys
import threading
import time

import pytest

from bethink.errors import InvalidModelFile, UsageError
from bethink.prompt import Template
from bethink.prompt.template import MAX_SOURCE_CHARS, RENDER_SECONDS

COMPILE_SECONDS = 4.0
"""What 64 KiB of the densest source may take to compile on a slow machine."""

MESSAGES = [{"role": "user", "content": "hi"}]


def rendered(source: str, **extra: object) -> str:
    return Template(source, bos="<s>", eos="</s>").render(MESSAGES, extra=extra)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("{{ bos_token }}{{ messages[0]['content'] }}{{ eos_token }}", "<s>hi</s>"),
        ("{% if add_generation_prompt %}\nA\n{% endif %}\nB", "A\nB"),
        ("    {% for m in messages %}\n{{ m.role }}\n    {% endfor %}", "user\n"),
        ("{{ tools | tojson }}", '[{"a": "é<>&\'", "n": null}]'),
        ("{{ tools | tojson(indent=2) }}", '[\n  {\n    "a": "é<>&\'",\n    "n": null\n  }\n]'),
        ("{% set ns = namespace(n=0) %}{% for i in range(5) %}{% set ns.n = ns.n + i %}{% endfor %}{{ ns.n }}", "10"),
        ("{% for i in range(9) %}{% if i == 2 %}{% continue %}{% elif i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}", "0134"),
        ("{% for i in [1,2,3] %}{{ i }}{{ ',' if not loop.last }}{% endfor %} of {{ [1,2,3]|length }}", "1,2,3 of 3"),
        ("{% macro f(x, y=2) %}<{{ x }}{{ y }}{{ caller() if caller }}>{% endmacro %}{{ f(1) }}{% call f(3) %}!{% endcall %}", "<12><32!>"),
        ("{% generation %}{{ messages[0].content }}{% endgeneration %}", "hi"),
        ("{{ messages | map(attribute='role') | join(', ') }}", "user"),
        ("{{ messages | selectattr('role', 'equalto', 'user') | list | length }}", "1"),
        ("{{ (messages | last).content.strip().split('i')[0] ~ 1 ~ none }}", "h1None"),
        ("{% set x %}a{{ 1 }}{% endset %}{{ x | upper }}{{ x[::-1] }}{{ 'ab'[1:] }}", "A11ab"),
        ("{% for k, v in {'b': 1, 'a': 2}.items() %}{{ k }}{{ v }}{% endfor %}{{ {'b': 1, 'a': 2} | dictsort }}", "b1a2[('a', 2), ('b', 1)]"),
        ("{{ 'a-b'.replace('-', '+') }}{{ 'a b' | replace('a', 'c') }}{{ '-' * 3 }}{{ '%s!' % 5 }}{{ '{}?'.format(6) }}", "a+bc b---5!6?"),
        ("{{ 'x' | indent(2, true) }}{{ ' y ' | trim }}{{ 'a' is defined and nothing is not defined }}", "  xyTrue"),
        ("{{ undefined_thing }}{{ undefined_thing | default('d') }}{{ undefined_thing is none }}", "dFalse"),
        ("{{ 7 // 2 }}{{ 7 % 4 }}{{ 2 ** 5 }}{{ -1 | abs }}{{ 1.5 | round | int }}{{ '3' | int + 1 }}", "333212 4".replace(" ", "")),
        ("{% filter upper %}{{ messages[0].content }}{% endfilter %}{% with a = 1 %}{{ a }}{% endwith %}", "HI1"),
    ],
)  # fmt: skip
def test_what_published_templates_use_works(source: str, text: str) -> None:
    assert rendered(source, tools=[{"a": "é<>&'", "n": None}]) == text


def test_the_date_can_be_asked_for() -> None:
    assert rendered("{{ strftime_now('%Y') }}") == time.strftime("%Y")


def test_a_templates_own_complaint_is_the_users_error() -> None:
    with pytest.raises(UsageError, match="only one system message"):
        rendered("{{ raise_exception('only one system message') }}")


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[0].content",
        "{% for m in messages %}",
        "{% nonsense %}",
        "{{ messages | no_such_filter }}",
        "{{ messages is no_such_test }}",
        "{{ 1 / 0 }}",
        "{{ messages['x']['y'] }}",
        "{{ 'a' + 1 }}",
        "{{ messages[0].content() }}",
        "{% include 'x' %}",
        "{% extends 'x' %}",
        "{% import 'x' as y %}",
        "{% block a %}{% endblock %}",
        "{% for i in messages recursive %}{{ loop(messages) }}{% endfor %}",
        "{{ " + "(" * 5000 + ")" * 5000 + " }}",
        "{{ " + "not " * 50_000 + "1 }}",
        "{{ 1" + "+1" * 40_000 + " }}",
        "{{ a" + ".a" * 40_000 + " }}",
        "{{ " + "[" * 3000 + "]" * 3000 + " }}",
        "{% if 1 %}" * 3000 + "{% endif %}" * 3000,
        "{{ " + "9" * 10_000 + " }}",
        "x" * (MAX_SOURCE_CHARS + 1),
    ],
    ids=range(22),
)
def test_a_broken_template_is_a_clear_error(source: str) -> None:
    with pytest.raises(InvalidModelFile) as caught:
        rendered(source)
    assert "chat template" in str(caught.value)
    assert len(str(caught.value)) < 500
    assert caught.value.hint


ESCAPES = [
    "{{ ''.__class__.__mro__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.__init__.__globals__ }}",
    "{{ raise_exception.__globals__['time'].sleep(99) }}",
    "{{ strftime_now.__globals__ }}",
    "{{ range.__globals__['json'] }}",
    "{{ namespace.__init__.__globals__ }}",
    "{{ ('%' ~ 's').__class__ }}{{ self.__init__ }}{{ self._TemplateReference__context.environment }}",
    "{{ '{0.__class__}'.format(messages) }}",
    "{{ '{0.__class__}'.format_map({'0': 1}) }}",
    "{{ messages.append(1) }}",
    "{{ messages[0].update({'a': 1}) }}",
    "{{ messages.clear() }}",
    "{{ (1).to_bytes(9, 'big') }}",
    "{{ 'a'.encode() }}",
    "{{ 'a' | attr('__class__') }}",
    "{{ messages | map(attribute='__class__.__mro__') | first | first }}",
    "{% set ns = namespace() %}{% set ns.__class__ = 1 %}{{ ns.__class__ }}",
    "{{ lipsum(n=99999) }}",
    "{{ cycler('a').next() }}",
    "{{ namespace }}",
    "{{ dict }}",
    "{{ range }}",
]


@pytest.mark.parametrize("source", ESCAPES)
def test_nothing_of_python_can_be_reached(source: str) -> None:
    try:
        text = rendered(source)
    except InvalidModelFile:
        return
    assert "<class" not in text
    assert "module" not in text
    assert "0x" not in text


BOMBS = {
    "repeated text": "{{ 'a' * 10**9 }}",
    "repeated text from the left": "{{ 10**9 * 'a' }}",
    "repeated list": "{{ [0] * 10**9 }}",
    "repeated in a constant": "{% if 'a' * 1000000000 %}{% endif %}",
    "tower of powers": "{{ 9**(9**(9**9)) }}",
    "squared again and again": "{% set ns = namespace(x=9) %}{% for i in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    "power of a product": "{{ (10**1000) ** 1000 }}",
    "range": "{% for i in range(10**12) %}{% endfor %}",
    "range as a list": "{{ range(0, 10**9) | list | length }}",
    "nested loops": "{% for a in range(9999) %}" * 6 + "x" + "{% endfor %}" * 6,
    "nested loops without output": "{% for a in range(9999) %}" * 6 + "{% set b = a %}" + "{% endfor %}" * 6,
    "filtered loop": "{% for a in range(9999) if a < 0 %}{% endfor %}" * 450,
    "doubled by plus": "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "doubled by tilde": "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "doubled by join": "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x]|join %}{% endfor %}",
    "doubled by the method": "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = ns.x.join([ns.x, ns.x]) %}{% endfor %}",
    "doubled by format": "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = '%s%s' % (ns.x, ns.x) %}{% endfor %}",
    "doubled by braces": "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = '{0}{0}'.format(ns.x) %}{% endfor %}",
    "doubled by a block": "{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set y %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = y %}{% endfor %}",
    "doubled by a macro": "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}{% set ns = namespace(x='ab') %}{% for i in range(99) %}{% set ns.x = f(ns.x) %}{% endfor %}",
    "doubled list": "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}{{ ns.x }}",
    "shared list, printed": "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "shared dict, as json": "{% set ns = namespace(x={}) %}{% for i in range(99) %}{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}{{ ns.x | tojson }}",
    "shared by dict()": "{% set ns = namespace(x=1) %}{% for i in range(99) %}{% set ns.x = dict(a=ns.x, b=ns.x) %}{% endfor %}{{ ns.x }}",
    "shared lists, compared": "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(99) %}{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
    "shared by varargs": "{% macro f() %}{% set ns.x = varargs %}{% endmacro %}{% set ns = namespace(x=1) %}{% for i in range(99) %}{{ f(ns.x, ns.x) }}{% endfor %}{{ ns.x }}",
    "replace": "{% set x = 'a' * 100000 %}{{ x | replace('a', x) }}",
    "replace method": "{% set x = 'a' * 100000 %}{{ x.replace('a', x) }}",
    "replace nothing": "{% set x = 'a' * 100000 %}{{ x.replace('', x) }}",
    "format width": "{{ '%1000000000d' % 1 }}",
    "format star": "{{ '%*d' % (1000000000, 1) }}",
    "format precision": "{{ '%.999999999f' % 1 }}",
    "braces width": "{{ '{:>1000000000}'.format(1) }}",
    "braces nested width": "{{ '{:>{}}'.format(1, 1000000000) }}",
    "padding methods": "{{ 'a'.rjust(1000000000) }}",
    "zfill": "{{ 'a'.zfill(1000000000) }}",
    "expandtabs": "{{ '\t'.expandtabs(1000000000) }}",
    "center filter": "{{ 'a' | center(1000000000) }}",
    "indent filter": "{{ ('a\n' * 100000) | indent(1000000000) }}{{ ('a\n' * 100000) | indent('a' * 100000) }}",
    "json indent": "{% set ns = namespace(x=[]) %}{% for i in range(500) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x | tojson(indent=1000000000) }}" * 9,
    "batch": "{{ [1] | batch(1000000000, 0) | list }}",
    "slice": "{{ [1] | slice(1000000000) | list }}",
    "wordwrap": "{{ ('a ' * 1000000) | wordwrap(1) }}" * 99,
    "macro recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "macro fan-out": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(99) }}",
    "caller recursion": "{% macro f() %}{% call f() %}x{% endcall %}{% endmacro %}{{ f() }}",
    "copies": "{% set x = 'a' * 1000000 %}" + "".join(f"{{% set y{i} = x[1:] %}}" for i in range(50)),
    "copies in a list": "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = ns.x + ['a' * 100000] %}{% endfor %}",
    "output in a loop": "{% for i in range(9999) %}{{ 'a' * 100000 }}{% endfor %}",
    "text in a loop": "{% for i in range(9999) %}{% for i in range(9999) %}" + "x" * 50_000 + "{% endfor %}{% endfor %}",
    "hidden output": "{% set x %}{% for i in range(9999) %}{{ 'a' * 100000 }}{% endfor %}{% endset %}",
    "sum of lists": "{% set x = [[1] * 1000] * 1000 %}{{ x | sum(start=[]) | length }}",
    "lazy filters": "{% set x = range(9999) %}" + "{% set x = x|map('string') %}" * 450,
    "rejecting filters": "{% set x = range(9999) %}" + "{% set x = x|select('ge', 0) %}" * 450,
    "a namespace in itself": "{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}{{ ns | tojson }}",
    "cyclic list": "{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns.x }}",
    "sorting": "{% set x = range(9999) | list %}" + "{% set y = x | sort(reverse=true) %}" * 450,
    "date": "{{ strftime_now('%1000000000Y') }}{{ strftime_now('%Y' * 1000000) }}",
    "long error": "{{ raise_exception('a' * 100000000) }}",
    "splitting": "{% set x = 'a ' * 1000000 %}" + "{% set y = x.split() %}" * 100,
    "comparing long texts": "{% set x = 'a' * 4000000 %}{% set y = 'a' * 4000000 %}{% for i in range(9999) %}{% for i in range(9999) %}{% if x == y %}{% endif %}{% endfor %}{% endfor %}",
    "searching": "{% set x = 'a' * 1000000 %}{% set y = ('a' * 500000) ~ 'b' %}{% for i in range(9999) %}{{ y in x }}{% endfor %}",
    "big int to text": "{{ (10**1000)**3 * 10**1200 }}",
}  # fmt: skip


@pytest.mark.parametrize("source", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_a_clear_error_in_time_and_memory(source: str) -> None:
    assert len(source) <= MAX_SOURCE_CHARS
    outcomes: list[tuple[BaseException | None, float]] = []

    def run() -> None:
        caught, began = None, time.thread_time()
        try:
            rendered(source)
        except BaseException as error:  # noqa: BLE001  the thread hands it over
            caught = error
        outcomes.append((caught, time.thread_time() - began))

    before = peak_bytes()
    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    [(error, seconds)] = outcomes
    assert type(error) in (InvalidModelFile, UsageError)
    assert seconds < COMPILE_SECONDS + RENDER_SECONDS + 1.0
    assert peak_bytes() - before < 300e6


def peak_bytes() -> float:
    """The most memory that this process ever held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def test_the_limits_of_one_rendering_do_not_touch_another() -> None:
    """Budgets belong to a rendering: a hundred honest ones after and beside a greedy one all succeed."""
    template = Template("{% for m in messages %}{{ m.content }}{% endfor %}")
    greedy = Template("{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}")
    wrong: list[object] = []

    def honest() -> None:
        wrong.extend(text for _ in range(100) if (text := template.render(MESSAGES)) != "hi")

    threads = [threading.Thread(target=honest) for _ in range(3)]
    for thread in threads:
        thread.start()
    with pytest.raises(InvalidModelFile):
        greedy.render(MESSAGES)
    for thread in threads:
        thread.join()
    assert wrong == []
    assert RENDER_SECONDS <= 5


def test_long_messages_are_no_bomb() -> None:
    content = "x" * 5_000_000
    template = Template("{% for m in messages %}{{ '<' + m.content.strip() + '>' }}{% endfor %}")
    assert template.render([{"role": "user", "content": content}]) == f"<{content}>"
