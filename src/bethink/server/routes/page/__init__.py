"""The chat page's own API under `/api`: one file a noun, all JSON, all for whoever `person.person_of` says."""

from __future__ import annotations

from starlette.routing import Route

from bethink.server.routes.page import conversations, files, keys, login, me, models, nodes, traces, workspaces
from bethink.server.routes.page.answering import Handler, answered

NAMES = frozenset(
    (
        *("conversations", "files", "jobs", "keys", "login", "logout", "me", "models", "nodes", "password", "traces"),
        *("usage", "users", "workspaces"),
    )
)
"""What follows `/api/` in the page's paths; other dialects have paths of their own there."""


def is_of_page(path: str) -> bool:
    return path.startswith("/api/") and path.split("/", 3)[2] in NAMES


def page_routes() -> list[Route]:
    """Every route of the page's API."""
    one = "/api/conversations/{id}"
    table: list[tuple[str, str, Handler]] = [
        ("GET", "/api/me", me.show_me),
        ("GET", "/api/login", login.show_ways),
        ("POST", "/api/login", login.log_in),
        ("POST", "/api/logout", login.log_out),
        ("POST", "/api/password", login.change_password),
        ("GET", "/api/conversations", conversations.list_conversations),
        ("POST", "/api/conversations", conversations.create_conversation),
        ("POST", "/api/conversations/import", conversations.import_conversation),
        ("GET", one + "/export", conversations.export_conversation),
        ("GET", one, conversations.show_conversation),
        ("PATCH", one, conversations.change_conversation),
        ("DELETE", one, conversations.delete_conversation),
        ("POST", one + "/ask", nodes.ask),
        ("POST", one + "/nodes/{node}/again", nodes.ask_again),
        ("POST", one + "/nodes/{node}/edit", nodes.edit),
        ("GET", "/api/models", models.list_models),
        ("POST", "/api/models/pull", models.pull_model),
        ("DELETE", "/api/models/{name:path}", models.remove_model),
        ("GET", "/api/jobs/{job}/events", models.follow_job),
        ("DELETE", "/api/jobs/{job}", models.cancel_job),
        ("GET", "/api/traces/{id}", traces.show_trace),
        ("GET", "/api/traces/{id}/page", traces.draw_trace),
        ("GET", "/api/usage", keys.show_usage),
        ("GET", "/api/keys", keys.list_keys),
        ("POST", "/api/keys", keys.create_key),
        ("PATCH", "/api/keys/{id}", keys.change_key),
        ("DELETE", "/api/keys/{id}", keys.revoke_key),
        ("GET", "/api/workspaces", workspaces.list_workspaces),
        ("POST", "/api/workspaces", workspaces.create_workspace),
        ("PATCH", "/api/workspaces/{id}", workspaces.change_workspace),
        ("POST", "/api/users", workspaces.set_password),
        ("DELETE", "/api/users/{id}/password", workspaces.remove_password),
        ("POST", "/api/files", files.send_file),
        ("GET", "/api/nodes/{node}/events", nodes.follow),
        ("POST", "/api/nodes/{node}/answer_now", nodes.answer_now),
        ("POST", "/api/nodes/{node}/stop", nodes.stop),
    ]
    return [Route(path, answered(handler), methods=[method]) for method, path, handler in table]
