"""`bethink serve`: this machine as a model server."""

from __future__ import annotations

import click

from bethink.cli.terminal import open_terminal


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8114, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--model", help="The model that answers when a client names none.")
def serve(host: str, port: int, model: str | None) -> int:
    """Serve models to any client that speaks OpenAI's API.

    \b
    Examples:
      bethink serve
      bethink serve --model qwen2.5-coder:0.5b --port 8000
    """
    import uvicorn

    from bethink.config import Settings
    from bethink.model import default_model, load
    from bethink.server.app import create_app
    from bethink.server.page import Page
    from bethink.server.pool import Pool
    from bethink.server.service import Service
    from bethink.store import Store

    terminal = open_terminal(no_color=False)
    settings = Settings.from_env()
    store = Store(settings.home)
    pool = Pool(
        load=lambda name: load(name, settings=settings),
        known=lambda: tuple(local.name for local in store.list()),
        default=store.canonical_name(model) if model else default_model(),
    )
    terminal.err.print(f"bethink serves on http://{host}:{port}")
    service = Service(pool)
    uvicorn.run(create_app(service, Page.open(service, settings)), host=host, port=port, log_level="warning", lifespan="on")
    return 0
