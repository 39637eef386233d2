"""The real single-user image: jupyterhub-singleuser of the Hub's own version with JupyterLab."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.testbed.engine import EngineHandle, ensure_engine
from tests.testbed.images import (
    LONG,
    PYTHON,
    RECIPE,
    Parameters,
    chunks,
    ensure_base_image,
    forget_image,
    has_image,
    image_labels,
    inspect_image,
    recipe_hash,
)
from tests.testbed.steps import TestbedError, lock, pip, run, say, step, throttled

NAME = "asyncdockerspawner-singleuser"
PUBLIC = "quay.io/jupyterhub/singleuser"
BUILDER = "asyncdockerspawner-testbed-build"
EXTRA_REQUIREMENTS = ("jupyterlab",)
FIRST_PROGRESS_WITHIN = 20.0

INSTALL = """
python3 -m venv /opt/jupyter
/opt/jupyter/bin/pip install --no-index --find-links /wheels --no-cache-dir {requirements}
useradd --create-home --uid 1000 --shell /bin/bash jovyan
mkdir -p /home/jovyan/work
chown -R jovyan:jovyan /home/jovyan
rm -rf /wheels
"""
CHANGES = (
    "ENV PATH=/opt/jupyter/bin:/usr/local/bin:/usr/bin:/bin",
    "ENV HOME=/home/jovyan",
    "ENV LANG=C.UTF-8",
    "ENV SHELL=/bin/bash",
    "WORKDIR /home/jovyan",
    "USER jovyan",
    "EXPOSE 8888",
    'CMD ["jupyterhub-singleuser"]',
)


def ensure_singleuser_image(hub_version: str) -> str:
    """The image for this version of JupyterHub; its tag is the full version."""
    image = f"{NAME}:{hub_version}"
    recipe = recipe_hash(INSTALL, *CHANGES, *EXTRA_REQUIREMENTS, hub_version)
    engine = ensure_engine()
    if has_image(engine, image, recipe):
        return image
    with lock("images"):
        if not has_image(engine, image, recipe):
            base = ensure_base_image()
            python = image_labels(engine, base)[PYTHON]
            with tempfile.TemporaryDirectory(prefix="testbed-wheels-") as folder:
                wheels = _download_wheels(Path(folder, "wheels"), hub_version, python)
                _build(engine, base, image, wheels, [*CHANGES, f"LABEL {RECIPE}={recipe}"])
    return image


def ensure_default_image(hub_version: str, *, pull: bool = True) -> str:
    """The image for a demo: the public one where it is or can be pulled, else ours."""
    engine = ensure_engine()
    public = f"{PUBLIC}:{'.'.join(hub_version.split('.')[:2])}"
    if inspect_image(engine, public) is not None:
        return public
    ours = f"{NAME}:{hub_version}"
    if inspect_image(engine, ours) is not None:
        say(f"* using {ours}, made here earlier ({public} is not there)")
        return ensure_singleuser_image(hub_version)
    if pull:
        try:
            with step(f"pulling {public}"):
                pull_image(engine, public)
        except TestbedError as error:
            say(f"  {error}")
        else:
            return public
    say(f"* the image is made on this machine instead of pulling {public} (some minutes, once)")
    return ensure_singleuser_image(hub_version)


def pull_image(engine: EngineHandle, image: str) -> None:
    """Pull an image; a registry that shows nothing for a while is given up."""
    name, _, tag = image.rpartition(":")
    tell = throttled()
    try:
        with (
            engine.client(FIRST_PROGRESS_WITHIN) as client,
            client.stream("POST", "/images/create", params={"fromImage": name, "tag": tag}) as answer,
        ):
            if answer.status_code != 200:
                raise TestbedError(f"The Engine cannot pull {image}: {_message(answer.read())}")
            for line in answer.iter_lines():
                event: dict[str, Any] = json.loads(line) if line.strip() else {}
                if "error" in event:
                    raise TestbedError(f"The Engine cannot pull {image}: {event['error']}")
                tell(f"{event.get('status', '')} {event.get('id', '')} {event.get('progress', '')}")
    except httpx.TimeoutException as error:
        raise TestbedError(f"No progress for {FIRST_PROGRESS_WITHIN:.0f} s while pulling {image}.") from error
    if inspect_image(engine, image) is None:
        raise TestbedError(f"The pull of {image} ended, but the image is not there.")


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode(errors="replace")[-300:]


def _download_wheels(folder: Path, hub_version: str, python: str) -> Path:
    requirements = [f"jupyterhub=={hub_version}", *EXTRA_REQUIREMENTS]
    with step(f"downloading {' '.join(requirements)} for Python {python}"):
        # The interpreter inside is another one than ours, so wheels are resolved for it.
        run(
            [
                *pip(),
                "download",
                "--disable-pip-version-check",
                "--progress-bar=off",
                "--only-binary=:all:",
                f"--python-version={python}",
                f"--dest={folder}",
                *requirements,
            ]
        )
    return folder


def _build(engine: EngineHandle, base: str, image: str, wheels: Path, changes: list[str]) -> None:
    before = inspect_image(engine, image)
    requirements = " ".join([f"jupyterhub=={image.rpartition(':')[2]}", *EXTRA_REQUIREMENTS])
    with (
        step(f"installing it into the image {image}"),
        engine.client(LONG) as client,
        _builder(client, base, INSTALL.format(requirements=requirements)) as container,
    ):
        _copy_into(client, container, wheels)
        _checked(client.post(f"/containers/{container}/start"))
        status = _checked(client.post(f"/containers/{container}/wait")).json()["StatusCode"]
        if status:
            logs = client.get(f"/containers/{container}/logs?stdout=1&stderr=1&tail=30")
            raise TestbedError(f"The installation for {image} ended with {status}:\n{_plain(logs.content)}")
        name, _, tag = image.rpartition(":")
        parameters: Parameters = [
            ("container", container),
            ("repo", name),
            ("tag", tag),
            *(("changes", c) for c in changes),
        ]
        _checked(client.post("/commit", params=httpx.QueryParams(parameters)))
    forget_image(engine, before)


@contextmanager
def _builder(client: httpx.Client, base: str, script: str) -> Iterator[str]:
    """A container of a fixed name, so that one left by a cut-off run is found and replaced."""
    client.delete(f"/containers/{BUILDER}?force=1&v=1")
    body = {
        "Image": base,
        "Cmd": ["/bin/sh", "-ec", script],
        "HostConfig": {"NetworkMode": "none"},
    }
    identity: str = _checked(client.post(f"/containers/create?name={BUILDER}", json=body)).json()["Id"]
    try:
        yield identity
    finally:
        client.delete(f"/containers/{identity}?force=1&v=1")


def _copy_into(client: httpx.Client, container: str, folder: Path) -> None:
    command = ["tar", "-C", str(folder.parent), "--owner=0", "--group=0", "-c", folder.name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "LC_ALL": "C"}) as tar:
        assert tar.stdout is not None
        url = f"/containers/{container}/archive?path=/"
        headers = {"Content-Type": "application/x-tar"}
        _checked(client.put(url, content=chunks(tar.stdout), headers=headers))


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        raise TestbedError(f"{answer.request.method} {answer.request.url.path}: {_message(answer.content)}")
    return answer


def _plain(frames: bytes) -> str:
    """Log text out of the Engine's frames: eight bytes of head, the last four a length."""
    stream, text = io.BytesIO(frames), b""
    while len(head := stream.read(8)) == 8:
        text += stream.read(int.from_bytes(head[4:], "big"))
    return text.decode(errors="replace")
