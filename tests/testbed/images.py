"""Images made without any registry: stub servers, and the base that the single-user images share.

Every image carries the hash of its recipe. One that is there with the right hash is used as it is; another
hash means that the recipe has changed, and it is made anew.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import httpx

from asyncdockerspawner.images.references import split_reference
from tests.testbed import apt
from tests.testbed.engine import EngineHandle, ensure_engine
from tests.testbed.steps import TestbedError, cache_dir, lock, run, step

RECIPE = "asyncdockerspawner.testbed.recipe"
STUB = "asyncdockerspawner-stub:1"
STUBBORN = "asyncdockerspawner-stubborn:1"
BASE = "asyncdockerspawner-base"
LONG = 900.0
Parameters = list[tuple[str, str | int | float | bool | None]]

# PID 1 without a handler ignores SIGTERM, and every stop would take the whole grace.
SERVE = """#!/bin/sh
trap 'kill $child; exit 0' TERM INT
/bin/busybox httpd -f -p ${PORT:-8888} -h /www &
child=$!
wait $child
"""
SERVE_STUBBORN = """#!/bin/sh
trap '' TERM
exec /bin/busybox httpd -f -p ${PORT:-8888} -h /www
"""
BASE_PACKAGES = "python3,python3-venv,ca-certificates"
BASE_LEAVES_OUT = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*")


def ensure_stub_image() -> str:
    """A server of 2 MB that answers every path on port 8888 and ends at once on SIGTERM."""
    return _ensure_stub(STUB, "/serve")


def ensure_stubborn_image() -> str:
    """The same, but it ignores SIGTERM: stopping it takes the whole grace."""
    return _ensure_stub(STUBBORN, "/serve-stubborn")


def ensure_base_image() -> str:
    """A minimal system of this machine's own release with Python, made by mmdebstrap; needs root."""
    recipe = recipe_hash(apt.codename(), BASE_PACKAGES, *BASE_LEAVES_OUT)
    image = f"{BASE}:{apt.codename() or 'unknown'}"
    engine = ensure_engine()
    if has_image(engine, image, recipe):
        return image
    with lock("images"):
        if not has_image(engine, image, recipe):
            _bootstrap_image(engine, image, recipe)
    return image


def recipe_hash(*parts: str) -> str:
    """A short name for what an image is made from."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def inspect_image(engine: EngineHandle, image: str) -> dict[str, Any] | None:
    """The image's document, or None where there is no such image."""
    with engine.client() as client:
        answer = client.get(f"/images/{image}/json")
    if answer.status_code == 404:
        return None
    answer.raise_for_status()
    document: dict[str, Any] = answer.json()
    return document


def image_labels(engine: EngineHandle, image: str) -> dict[str, str]:
    """The image's labels; none where there is no such image."""
    document = inspect_image(engine, image)
    labels: dict[str, str] = ((document or {}).get("Config") or {}).get("Labels") or {}
    return labels


def has_image(engine: EngineHandle, image: str, recipe: str) -> bool:
    """Whether the image is there and made from this recipe."""
    return image_labels(engine, image).get(RECIPE) == recipe


def import_image(engine: EngineHandle, image: str, archive: Iterable[bytes], changes: Sequence[str]) -> None:
    """Make an image of one layer from a tar stream."""
    before = inspect_image(engine, image)
    name, tag = split_reference(image)
    parameters: Parameters = [
        ("fromSrc", "-"),
        ("repo", name),
        ("tag", tag),
        *(("changes", change) for change in changes),
    ]
    with engine.client(LONG) as client:
        answer = client.post(
            "/images/create",
            params=httpx.QueryParams(parameters),
            content=iter(archive),
            headers={"Content-Type": "application/x-tar"},
        )
    if answer.status_code != 200 or '"error"' in answer.text:
        raise TestbedError(f"The Engine did not import {image}: {answer.text[-500:]}")
    forget_image(engine, before)


def copy_image(image: str, origin: EngineHandle, target: EngineHandle) -> None:
    """Take over an image of another Engine, with its id; one that is there already stays."""
    before, wanted = inspect_image(target, image), inspect_image(origin, image)
    if wanted is None:
        raise TestbedError(f"The Engine at {origin.url} has no image {image}.")
    if before is not None and before["Id"] == wanted["Id"]:
        return
    with (
        step(f"copying {image} to Docker Engine {target.version}"),
        origin.client(LONG) as source,
        target.client(LONG) as client,
        source.stream("GET", f"/images/{image}/get") as archive,
    ):
        archive.raise_for_status()
        answer = client.post(
            "/images/load",
            content=archive.iter_bytes(1 << 20),
            headers={"Content-Type": "application/x-tar"},
        )
    if answer.is_error or "Loaded image" not in answer.text:
        raise TestbedError(f"{image} was not loaded: {answer.text[-500:]}")
    forget_image(target, before)


def forget_image(engine: EngineHandle, old: dict[str, Any] | None) -> None:
    """Delete the image that has just lost its name to a new one, unless something uses it."""
    if old is not None:
        with engine.client() as client:
            client.delete(f"/images/{old['Id']}")


def chunks(stream: IO[bytes], size: int = 1 << 20) -> Iterator[bytes]:
    """A file in pieces."""
    while piece := stream.read(size):
        yield piece


def _ensure_stub(image: str, command: str) -> str:
    recipe = recipe_hash(SERVE, SERVE_STUBBORN, command)
    engine = ensure_engine()
    if has_image(engine, image, recipe):
        return image
    with lock("images"):
        if not has_image(engine, image, recipe):
            with step(f"making the image {image} from busybox"):
                changes = ["EXPOSE 8888", f'CMD ["{command}"]', f"LABEL {RECIPE}={recipe}"]
                import_image(engine, image, [_stub_archive(_busybox())], changes)
    return image


def _busybox() -> bytes:
    kept = cache_dir() / "busybox"
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
            tree = apt.unpack("busybox-static", Path(folder))
            found = next(
                path for path in tree.rglob("busybox") if path.parent.name == "bin" and path.is_file()
            )
            shutil.copyfile(found, kept)
    return kept.read_bytes()


def _stub_archive(busybox: bytes) -> bytes:
    files = {
        "bin/busybox": (0o755, busybox),
        "serve": (0o755, SERVE.encode()),
        "serve-stubborn": (0o755, SERVE_STUBBORN.encode()),
        "www/index.html": (0o644, b"stub\n"),
        "etc/passwd": (0o644, b"root:x:0:0:root:/:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/sh\n"),
        "etc/group": (0o644, b"root:x:0:\nusers:x:100:\n"),
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "etc", "www", "home/jovyan/work"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            if folder.startswith("home"):
                entry.uid, entry.gid = 1000, 100
            archive.addfile(entry)
        for program in ("sh", "sleep", "cat", "ls", "id", "env", "wget", "touch", "httpd"):
            link = tarfile.TarInfo(f"bin/{program}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
        for name, (mode, content) in files.items():
            entry = tarfile.TarInfo(name)
            entry.mode, entry.size = mode, len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _bootstrap_image(engine: EngineHandle, image: str, recipe: str) -> None:
    if not apt.may_install():
        raise TestbedError(
            "The single-user image is made by mmdebstrap, which needs root on Debian or Ubuntu. Elsewhere "
            "pull the public single-user image; the demo then takes that."
        )
    if shutil.which("mmdebstrap") is None:
        apt.install("mmdebstrap", purpose="the single-user image")
    with tempfile.TemporaryDirectory(dir=cache_dir(), prefix="base-") as folder:
        archive = Path(folder, "base.tar")
        with step(f"mmdebstrap of a minimal {apt.codename()} with Python"):
            run(_bootstrap_command(archive), env=apt.proxy_environment())
        with step(f"importing it as the image {image}"), archive.open("rb") as stream:
            import_image(engine, image, chunks(stream), [f"LABEL {RECIPE}={recipe}", 'CMD ["/bin/sh"]'])


def _bootstrap_command(archive: Path) -> list[str | Path]:
    """In half the time of debootstrap: dpkg configures all at once and never waits for the disk."""
    components = "main,universe" if apt.os_release().get("ID") == "ubuntu" else "main"
    options = ["--variant=minbase", f"--include={BASE_PACKAGES}", f"--components={components}"]
    options += ["--format=tar", "--skip=output/dev", "--dpkgopt=force-unsafe-io"]
    options += [f"--dpkgopt=path-exclude={pattern}" for pattern in BASE_LEAVES_OUT]
    return ["mmdebstrap", *options, apt.codename(), archive, apt.mirror()]
