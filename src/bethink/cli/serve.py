"""`bethink serve`: this machine as a model server.

Owns the options and what is said when the server is ready. Refuses to know how one works: `server.launch` does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from bethink.cli.main import Invocation
from bethink.cli.model_names import ModelName, offer_engines, open_store
from bethink.cli.options import with_options
from bethink.cli.parameters import Duration
from bethink.cli.terminal import Terminal, one_row, open_terminal
from bethink.errors import StoreError

if TYPE_CHECKING:
    from bethink.config import Settings
    from bethink.model import Model
    from bethink.server.launch import Models, Open
    from bethink.store import Store

EXIT_CUT_OFF = 130


class Alias(click.ParamType[tuple[str, str]]):
    """`gpt-4o=qwen2.5-coder:1.5b`."""

    name = "alias"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value  # pyright: ignore[reportUnknownVariableType]  # click gives back what this made
        name, equals, model = (part.strip() for part in str(value).partition("="))
        if not (name and equals and model):
            self.fail(f"{str(value)!r} is no alias; write NAME=MODEL, as in gpt-4o=qwen2.5-coder:1.5b", param, ctx)
        return name, model


class Origin(click.ParamType[str]):
    """`https://chat.example.com`, as a browser sends it; `*` is every site."""

    name = "origin"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip().rstrip("/").lower()
        scheme, colon, rest = text.partition("://")
        if text != "*" and not (scheme and colon and rest and "/" not in rest):
            self.fail(f"{str(value)!r} is no origin; write it as https://chat.example.com", param, ctx)
        return text


class Keep(Duration):
    """A duration, or `always`."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if str(value).strip().lower() == "always":
            return float("inf")
        return super().convert(value, param, ctx)


_OPTIONS = (
    click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on."),
    click.option("--port", default=8114, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one."),
    click.option(
        "-m",
        "--model",
        "models",
        multiple=True,
        type=ModelName(),
        metavar="NAME",
        help="A model to load at once and keep; the first answers when a client names none. May be repeated.",
    ),
    click.option("--no-warm", is_flag=True, help="Load models when they are first asked for."),
    click.option(
        "--alias", "aliases", multiple=True, type=Alias(), metavar="NAME=MODEL", help="Another name for a model."
    ),
    click.option(
        "--keep",
        "keep_s",
        default="15m",
        show_default=True,
        type=Keep(),
        metavar="TIME",
        help="Unload models that were loaded on demand and idle for so long; `always` keeps them.",
    ),
    click.option("--engine", metavar="NAME", shell_complete=offer_engines, help="openvino or llamacpp."),
    click.option("--precision", metavar="NAME", help="The precision of the prepared weights."),
    click.option(
        "--parallel",
        default=32,
        show_default=True,
        type=click.IntRange(1, 4096),
        metavar="N",
        help="Requests that run at once on each model; more wait their turn.",
    ),
    click.option("--require-key", is_flag=True, help="Ask for keys on loopback too (anywhere else they are needed)."),
    click.option(
        "--allow-origin",
        "origins",
        multiple=True,
        type=Origin(),
        metavar="ORIGIN",
        help="A site whose pages may use this server from a browser.",
    ),
    click.option(
        "--allow-host", "hosts", multiple=True, metavar="NAME", help="Another name under which this server answers."
    ),
    click.option("--trust-proxy", is_flag=True, help="Believe X-Forwarded-For: only behind a proxy of your own."),
    click.option(
        "--drain",
        "drain_s",
        default="30s",
        show_default=True,
        type=Duration(),
        metavar="TIME",
        help="How long running requests may go on after Ctrl-C or SIGTERM.",
    ),
    click.option(
        "--database", metavar="URL", help="Where keys and usage are kept (BETHINK_DATABASE; a file in the home)."
    ),
    click.option(
        "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the log."
    ),
    click.option("--otlp", "otlp", envvar="OTEL_EXPORTER_OTLP_ENDPOINT", hidden=True),
)


@click.command()
@with_options(_OPTIONS)
@click.pass_obj
def serve(invocation: Invocation, **given: Any) -> int:
    """Serve models to any client that speaks OpenAI's API.

    On this machine alone it needs no key. On any other address it asks for one, and refuses to start before
    `bethink keys create admin --scope admin` made the first. Ctrl-C stops when running requests have ended, a second
    one at once.

    \b
    Examples:
      bethink serve
      bethink serve --model qwen2.5-coder:1.5b --model smollm2:135m --alias gpt-4o=qwen2.5-coder:1.5b
      bethink serve --port 0 --no-warm
      bethink serve --host 0.0.0.0 --allow-origin https://chat.example.com --log-format json
    """
    from bethink.config import Settings
    from bethink.server.launch import Choices, launch

    terminal = open_terminal()
    keep_s, is_json = given["keep_s"], given["log_format"] == "json"
    settings = Settings.from_env()
    choices = Choices(
        host=given["host"],
        port=given["port"],
        requires_key=given["require_key"],
        origins=frozenset(given["origins"]),
        hosts=frozenset(host.lower() for host in given["hosts"]),
        trusts_proxy=given["trust_proxy"],
        database=given["database"],
        parallel=given["parallel"],
        keep_s=None if keep_s == float("inf") else keep_s,
        drain_s=given["drain_s"],
        log_format=given["log_format"],
        shows_values=invocation.shows_traceback,
        traces_spans=bool(given["otlp"]),
    )
    models = _models(given, settings, terminal)
    ended_well = launch(choices, models, settings, lambda opened: _say(terminal, opened, is_json=is_json))
    return 0 if ended_well else EXIT_CUT_OFF


def _models(given: Mapping[str, Any], settings: Settings, terminal: Terminal) -> Models:
    """What can be served. Fetching and loading is left for later: the port comes first.

    Raises: UnknownModel: an alias of nothing that is here.
    """
    from bethink.model import default_model, load
    from bethink.server.launch import Models
    from bethink.server.running.cards import cards_of

    store = open_store()
    asked: tuple[str, ...] = given["models"] or (default_model(),)
    names = list(dict.fromkeys(store.canonical_name(name) for name in asked))
    refs = dict(zip((store.canonical_name(name) for name in asked), asked, strict=True))
    engine, precision = given["engine"], given["precision"]
    for _, target in given["aliases"]:
        if store.canonical_name(target) not in names:
            store.get(target)

    def load_here(name: str) -> Model:
        store.get(refs.get(name, name))  # a request never downloads
        return load(refs.get(name, name), engine=engine, precision=precision, settings=settings)

    def prepare() -> dict[str, Model]:
        return _prepared(store, refs, settings, terminal, load_here if not given["no_warm"] else None)

    return Models(
        names=names,
        load=load_here,
        known=lambda: tuple(local.name for local in store.list()),
        prepare=prepare,
        aliases={name: store.canonical_name(target) for name, target in given["aliases"]},
        card=cards_of(store),
    )


def _prepared(
    store: Store,
    refs: Mapping[str, str],
    settings: Settings,
    terminal: Terminal,
    load_here: Callable[[str], Model] | None,
) -> dict[str, Model]:
    """Fetch what is not here yet, and load all where they are to be warm."""
    from bethink.cli.loading import Loading
    from bethink.store.pull import pull

    loaded: dict[str, Model] = {}
    with ExitStack() as undo:
        for name, ref in refs.items():
            with Loading(terminal, f"loading {name}") as loading:
                try:
                    store.get(ref)
                except StoreError:
                    asyncio.run(pull(store, ref, loading.update, settings=settings))
                loading.what = f"loading {name}"
                if load_here is not None:
                    loaded[name] = undo.enter_context(load_here(name))
        undo.pop_all()
    return loaded


def _say(terminal: Terminal, opened: Open, *, is_json: bool) -> None:
    """The few lines that a person needs: where, what, how to try it, how to stop."""
    err = terminal.err
    if is_json:
        return
    what = ", ".join(f"{name} ({model.engine.info.name})" for name, model in opened.models.items())
    key = " -H 'authorization: Bearer KEY'" if opened.needs_key else ""
    body = '\'{"messages": [{"role": "user", "content": "What is 17 * 23?"}]}\''
    rows = {
        "models": one_row(what) or "loaded when they are asked for; /v1/models lists them",
        "page": f"{opened.url}/ in a browser",
        "try": f"curl {opened.url}/v1/chat/completions -H 'content-type: application/json'{key} -d {body}",
        "clients": f"OPENAI_BASE_URL={opened.url}/v1",
        "keys": "needed: `bethink keys create NAME` makes one"
        if opened.needs_key
        else "none needed: only this machine can reach it",
        "stop": "Ctrl-C lets running requests end; twice stops at once",
    }
    err.print(Text.assemble("bethink serves on ", (opened.url, "bold")))
    for name, text in rows.items():
        err.print(Text.assemble((f"  {name:8}", "cyan"), text), soft_wrap=True)
