"""Bases for the tests of `rebase`, and wheels of a few bytes that stand for JupyterHub and JupyterLab."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Sequence
from pathlib import Path

from asyncdockerspawner.client.client import Client
from asyncdockerspawner.rebase.recipe import archive
from tests.testbed.images import ensure_stub_image

NAME = "asyncdockerspawner-rebase-test"

APK = '#!/bin/sh\n[ "$1" = add ] && ln -s /bin/sh /bin/bash && cp /python3 /bin/python3\n'
ADDUSER = """#!/bin/sh
for name; do :; done
echo "$name:x:1000:1000::/home/$name:/bin/bash" >>/etc/passwd
"""
PYTHON = """#!/bin/sh
for target; do :; done
if [ "$1" = -m ]; then mkdir -p "$target/bin"; cp /pip "$target/bin/pip"; fi
"""
PIP = """#!/bin/sh
for list; do :; done
if grep -q '^broken' "$list"; then echo "No matching distribution found for broken" >&2; exit 1; fi
if grep -q '^slow' "$list"; then echo "Collecting slow"; sleep 60; fi
version=$(sed -n 's/^jupyterhub==//p' "$list")
if grep -q '^old' "$list"; then version=1.0; fi
program=/opt/jupyter/bin/jupyterhub-singleuser
printf '#!/bin/sh\\necho %s\\n' "$version" >$program
if grep -q '^endless' "$list"; then printf '#!/bin/sh\\nsleep 60\\n' >$program; fi
chmod 755 $program
"""


async def small_base(client: Client, *instructions: str) -> str:
    """Make a base like Alpine, of 2 MB: what its programs are for, they only pretend; gives its id.

    Requirements named `broken`, `slow`, `old` and `endless` do what they say.
    """
    files = {"apk": APK, "adduser": ADDUSER, "python3": PYTHON, "pip": PIP}
    lines = [
        f"FROM {ensure_stub_image()}",
        "RUN /bin/busybox --install -s /bin",
        "COPY apk adduser /bin/",
        "COPY python3 pip /",
        "RUN chmod 755 /bin/apk /bin/adduser /python3 /pip && sed -i /jovyan/d /etc/passwd",
        *instructions,
    ]
    packed = [("Dockerfile", "\n".join([*lines, ""]).encode())]
    packed += [(name, text.encode()) for name, text in files.items()]
    name = f"{NAME}-base:{uuid.uuid4().hex[:12]}"
    await client.builds.build(archive(packed), subject=name, tag=name)
    return name


def write_wheels(folder: Path, hub_version: str) -> None:
    """Write wheels: JupyterHub, whose program tells its version, and an empty JupyterLab."""
    program = f"def main():\n    print('{hub_version}')\n"
    scripts = "[console_scripts]\njupyterhub-singleuser = small_hub:main\n"
    _write(folder, "jupyterhub", hub_version, [("small_hub.py", program), ("entry_points.txt", scripts)])
    _write(folder, "jupyterlab", "4.0", [])


def _write(folder: Path, name: str, version: str, files: Sequence[tuple[str, str]]) -> None:
    about = f"{name}-{version}.dist-info"
    entries = [
        *((each if each.endswith(".py") else f"{about}/{each}", text) for each, text in files),
        (f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
        (f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
    ]
    record = "".join(f"{each},,\n" for each, _ in [*entries, (f"{about}/RECORD", "")])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as wheel:
        for each, text in [*entries, (f"{about}/RECORD", record)]:
            wheel.writestr(each, text)
    (folder / f"{name}-{version}-py3-none-any.whl").write_bytes(buffer.getvalue())
