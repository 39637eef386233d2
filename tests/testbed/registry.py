"""A real registry on 127.0.0.1, where every Engine takes plain HTTP; its images are kept in one folder."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.testbed import apt
from tests.testbed.engine import EngineHandle
from tests.testbed.plain_http import NO_TLS
from tests.testbed.processes import Background, free_port
from tests.testbed.steps import TestbedError, cache_dir, lock, step

PACKAGE = "docker-registry"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
START_SECONDS = 60.0
UPLOAD_SECONDS = 300.0


@dataclass(frozen=True)
class Account:
    """Who may use a registry: name and password, and the password's bcrypt, which is all that it takes."""

    name: str
    password: str
    bcrypt: str


# Made beforehand: Python has no bcrypt of its own.
ACCOUNT = Account(
    "puller", "test-bed-3bb91ce3f31f", "$2b$04$LrY/nCBW0c9CHYMop3pncOjA.DJ1ff3aWHY91zmcnNlE.h.7NFHM6"
)


class Registry:
    """What listens at `address`; images get there by `add`, and from there by a pull."""

    def __init__(self, address: str, account: Account | None = None) -> None:
        self.address = address
        self.http = httpx.Client(
            base_url=f"http://{address}",
            timeout=UPLOAD_SECONDS,
            trust_env=False,
            verify=NO_TLS,
            auth=(account.name, account.password) if account else None,
        )
        """For requests of one's own."""

    def add(self, name: str, image: str, engine: EngineHandle, *layers: bytes, packed: int = 1) -> str:
        """Take over an image of an Engine, with more layers (tar archives) on top; gives its reference.

        `packed` is gzip's level: low ones are quick. What is random does not shrink, and zeros do.
        """
        config, own_layers = _saved(engine, image)
        added = [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]
        config["rootfs"]["diff_ids"] += added
        config["history"] = [*(config.get("history") or []), *({"created_by": "test bed"} for _ in added)]
        blobs = [self._blob(name, LAYER, gzip.compress(each, packed)) for each in (*own_layers, *layers)]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self._blob(name, CONFIG, json.dumps(config).encode()),
            "layers": blobs,
        }
        headers = {"Content-Type": MANIFEST}
        _checked(self.http.put(f"/v2/{name}/manifests/1", content=json.dumps(manifest), headers=headers))
        return f"{self.address}/{name}:1"

    def digest(self, name: str) -> str:
        """The digest by which an image can be pulled too."""
        headers = {"Accept": MANIFEST}
        answer = _checked(self.http.head(f"/v2/{name}/manifests/1", headers=headers))
        return answer.headers["Docker-Content-Digest"]

    def names(self) -> list[str]:
        """Name every image, without tags."""
        return list(_checked(self.http.get("/v2/_catalog")).json()["repositories"])

    def _blob(self, name: str, kind: str, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        begun = _checked(self.http.post(f"/v2/{name}/blobs/uploads/"))
        place = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest})
        headers = {"Content-Type": "application/octet-stream"}
        _checked(self.http.put(place, content=content, headers=headers))
        return {"mediaType": kind, "size": len(content), "digest": digest}


@contextlib.contextmanager
def registry(directory: Path, account: Account | None = None) -> Iterator[Registry]:
    """An empty registry, only for `account` where one is given; its images and its log are in `directory`."""
    address = f"127.0.0.1:{free_port()}"
    command = registry_command(address, directory, account)
    served = Background(PACKAGE, command, directory / "registry.log", registry_environment(), directory)
    made = Registry(address, account)
    try:
        served.wait_for_port("127.0.0.1", int(address.rpartition(":")[2]), START_SECONDS)
        yield made
    finally:
        made.http.close()
        served.stop()


def registry_command(address: str, directory: Path, account: Account | None) -> list[str]:
    """What serves the images in this directory at this address, once its configuration is written there."""
    config = directory / "registry.yml"
    settings = _configuration(address, directory / "registry")
    if account:
        users = directory / "htpasswd"
        users.write_text(f"{account.name}:{account.bcrypt}\n")
        settings["auth"] = {"htpasswd": {"realm": "test bed", "path": str(users)}}
    # JSON is YAML.
    config.write_text(json.dumps(settings))
    return [ensure_registry(), "serve", str(config)]


def registry_environment() -> dict[str, str]:
    """The environment for a registry: REGISTRY_… would override its configuration."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("REGISTRY_", "OTEL_"))}


def ensure_registry() -> str:
    """The registry's program: the one that is installed, else one that is unpacked into the cache."""
    if installed := shutil.which(PACKAGE):
        return installed
    kept = cache_dir() / PACKAGE
    with lock("registry"):
        if not kept.exists():
            # Not installed: that would start a service for all the network to reach.
            with step(f"fetching {PACKAGE}"), tempfile.TemporaryDirectory(dir=cache_dir()) as folder:
                (apt.unpack(PACKAGE, Path(folder)) / "usr" / "bin" / PACKAGE).rename(kept)
    return str(kept)


def _configuration(address: str, root: Path) -> dict[str, Any]:
    return {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(root)}, "delete": {"enabled": True}},
        "http": {"addr": address},
    }


def layer(content: bytes, name: str = "big") -> bytes:
    """A layer with one file of this content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _saved(engine: EngineHandle, image: str) -> tuple[dict[str, Any], list[bytes]]:
    """An image's configuration and its layers, as `docker save` gives them."""
    with engine.client(UPLOAD_SECONDS) as client:
        archive = _checked(client.get(f"/images/{image}/get")).content
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        (entry,) = json.loads(_member(files, "manifest.json"))
        config: dict[str, Any] = json.loads(_member(files, entry["Config"]))
        return config, [_member(files, layer) for layer in entry["Layers"]]


def _member(files: tarfile.TarFile, name: str) -> bytes:
    found = files.extractfile(name)
    if found is None:
        raise TestbedError(f"{name} in an image's archive is no file.")
    return found.read()


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        where = f"{answer.request.method} {answer.request.url.path}"
        raise TestbedError(f"{where}: {answer.status_code} {answer.text[-500:]}")
    return answer
