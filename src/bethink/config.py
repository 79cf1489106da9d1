"""What the environment says, read once at the edge and frozen.

Owns where bethink keeps its files and which hubs and package indexes it may ask. Refuses to touch the network or to
create anything on disk. Tests pass their own `environ`; nothing else in bethink reads `os.environ`.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_data_dir

from bethink.errors import UsageError

HUGGING_FACE = "https://huggingface.co"
MODELSCOPE = "https://www.modelscope.cn"
TRACES_MB = 500
"""Some thousand questions. A vote of eight short thoughts is 100 kB, sixteen of the longest are 25 MB."""

SURE = 0.8


@dataclass(frozen=True, slots=True)
class PackageIndexes:
    """The indexes of the user's own pip (or uv), in the order to ask. `urls` empty: the index that pip itself defaults
    to.

    `find_links` are folders of wheels that are looked into first. `extra_urls` are asked after `urls`. URLs may hold
    credentials: show them through `store.reference.without_credentials` only.
    """

    urls: tuple[str, ...] = ()
    extra_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """`home` holds every file that bethink keeps: models, what was prepared from them, traces. Traces take at most
    `traces_bytes` (None: no limit; 0: none is written). `database` is where keys and usage are kept (None: a file in
    `home`); it may hold a password. `sure` is how likely an answer must be right to be more than "unsure", where a
    model is calibrated."""

    home: Path
    hf_endpoint: str = HUGGING_FACE
    hf_token: str | None = None
    ms_endpoint: str = MODELSCOPE
    indexes: PackageIndexes = PackageIndexes()
    ca_file: str | None = None
    traces_bytes: int | None = TRACES_MB * 1_000_000
    database: str | None = field(default=None, repr=False)
    sure: float = SURE

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """BETHINK_HOME moves the home, BETHINK_DATABASE names a database of keys and usage; HF_ENDPOINT, HF_TOKEN and
        MODELSCOPE_ENDPOINT are what their own tools read.

        Raises: UsageError: BETHINK_TRACES_MB is no number, or BETHINK_SURE no probability.
        """
        env = os.environ if environ is None else environ
        home = env.get("BETHINK_HOME") or user_data_dir("bethink", appauthor=False)
        indexes = _package_indexes(env)
        return cls(
            home=Path(home).expanduser().absolute(),
            traces_bytes=_traces_bytes(env.get("BETHINK_TRACES_MB", "").strip().lower()),
            database=env.get("BETHINK_DATABASE", "").strip() or None,
            sure=_sure(env.get("BETHINK_SURE", "").strip()),
            hf_endpoint=(env.get("HF_ENDPOINT") or HUGGING_FACE).rstrip("/"),
            hf_token=env.get("HF_TOKEN") or None,
            ms_endpoint=(env.get("MODELSCOPE_ENDPOINT") or MODELSCOPE).rstrip("/"),
            indexes=indexes,
            ca_file=env.get("SSL_CERT_FILE") or env.get("REQUESTS_CA_BUNDLE") or indexes.ca_file,
        )


def _traces_bytes(value: str) -> int | None:
    if value in ("all", "none"):
        return None if value == "all" else 0
    try:
        megabytes = float(value or TRACES_MB)
    except ValueError:
        megabytes = -1.0
    if not 0 <= megabytes < 1e9:
        raise UsageError(
            f"BETHINK_TRACES_MB is {value!r}, which is no number of megabytes",
            f"a number ({TRACES_MB} is usual), none to keep no traces, or all to keep every one",
        )
    return int(megabytes * 1e6)


def _sure(value: str) -> float:
    try:
        sure = float(value or SURE)
    except ValueError:
        sure = -1.0
    if not 0 < sure <= 1:
        raise UsageError(f"BETHINK_SURE is {value!r}, which is no probability", f"a number up to 1; {SURE} is usual")
    return sure


def _package_indexes(env: Mapping[str, str]) -> PackageIndexes:
    """pip's precedence: its environment, then uv's, then pip's files (site over user over global)."""
    files = _pip_files(env)

    def first(*values: str | None) -> str:
        return next((value for value in values if value), "")

    urls = first(env.get("PIP_INDEX_URL"), env.get("UV_DEFAULT_INDEX"), env.get("UV_INDEX_URL"), files.get("index-url"))
    extra = first(env.get("PIP_EXTRA_INDEX_URL"), env.get("UV_EXTRA_INDEX_URL"), files.get("extra-index-url"))
    links = first(env.get("PIP_FIND_LINKS"), env.get("UV_FIND_LINKS"), files.get("find-links"))
    return PackageIndexes(
        urls=tuple(_url(word) for word in urls.split()),
        extra_urls=tuple(_url(word) for word in f"{env.get('UV_INDEX', '')} {extra}".split()),
        find_links=tuple(links.replace(",", " ").split()),
        ca_file=first(env.get("PIP_CERT"), files.get("cert")) or None,
    )


def _url(word: str) -> str:
    """uv lets an index be named, as in `company=https://…`."""
    name, equals, url = word.partition("=")
    return url if equals and "://" in url and "://" not in name else word


def _pip_files(env: Mapping[str, str]) -> dict[str, str]:
    """The options that pip's own configuration files set, later files over earlier ones; unreadable files say
    nothing.
    """
    options: dict[str, str] = {}
    for path in _pip_file_paths(env):
        parser = configparser.RawConfigParser()
        try:
            parser.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError):
            continue
        for section in ("global", "install", "download"):
            if parser.has_section(section):
                options.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    return options


def _pip_file_paths(env: Mapping[str, str]) -> list[Path]:
    chosen = env.get("PIP_CONFIG_FILE")
    if chosen == os.devnull:
        return []
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    home = Path(env.get("HOME") or env.get("USERPROFILE") or Path.home())
    if sys.platform == "win32":
        shared = [Path(env.get("PROGRAMDATA", "C:/ProgramData")) / "pip" / name]
        user = [home / "pip" / name, Path(env.get("APPDATA", str(home))) / "pip" / name]
    else:
        xdg_dirs = env.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)
        shared = [*(Path(d) / "pip" / name for d in xdg_dirs), Path("/etc") / name]
        user = [home / ".pip" / name, Path(env.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / name]
        if sys.platform == "darwin":
            shared.append(Path("/Library/Application Support/pip") / name)
            user.append(home / "Library/Application Support/pip" / name)
    return [*shared, *user, Path(sys.prefix) / name, *([Path(chosen)] if chosen else [])]
