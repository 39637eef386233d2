"""The real single-user image: jupyterhub-singleuser of the Hub's own version with JupyterLab.

It is made by the command that administrators have for theirs, from wheels that this machine's pip downloads:
its index, its certificates and its cache are not the containers'.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from asyncdockerspawner.images.references import split_reference
from asyncdockerspawner.rebase.recipe import Recipe, dockerfile, requirements
from tests.testbed import apt
from tests.testbed.engine import EngineHandle, ensure_engine
from tests.testbed.images import (
    RECIPE,
    ensure_base_image,
    forget_image,
    has_image,
    inspect_image,
    recipe_hash,
)
from tests.testbed.steps import TestbedError, lock, meanwhile, pip, run, say, step, throttled

NAME = "asyncdockerspawner-singleuser"
PUBLIC = "quay.io/jupyterhub/singleuser"
FIRST_PROGRESS_WITHIN = 20.0


def ensure_singleuser_image(hub_version: str) -> str:
    """The image for this version of JupyterHub; its tag is the full version."""
    image = f"{NAME}:{hub_version}"
    engine = ensure_engine()
    wanted = Recipe(base="base", tag=image, hub_version=hub_version, offline=True)
    recipe = recipe_hash(dockerfile(wanted, "mark"), requirements(wanted))
    if has_image(engine, image, recipe):
        return image
    with lock("images"):
        if not has_image(engine, image, recipe):
            with tempfile.TemporaryDirectory(prefix="testbed-wheels-") as folder:
                with downloaded_wheels(Path(folder), requirements(wanted).split()):
                    base = ensure_base_image()
                before = inspect_image(engine, image)
                with step(f"building the image {image}"):
                    run(_rebase_command(base, image, hub_version, folder, f"{RECIPE}={recipe}"))
                forget_image(engine, before)
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
    name, tag = split_reference(image)
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


@contextlib.contextmanager
def downloaded_wheels(folder: Path, wanted: Sequence[str]) -> Iterator[None]:
    """Download, while the body runs, what this needs on the base image's Python."""
    # The interpreter inside is another one than ours, so wheels are resolved for it.
    python = apt.upstream_version("python3")
    options = ["--disable-pip-version-check", "--progress-bar=off", "--only-binary=:all:"]
    command = [*pip(), "download", *options, f"--python-version={python}", f"--dest={folder}", *wanted]
    with meanwhile(command, f"downloading {' '.join(wanted)} for Python {python}"):
        yield


def _rebase_command(base: str, image: str, hub_version: str, wheels: str, label: str) -> list[str]:
    words = [sys.executable, "-m", "asyncdockerspawner.rebase", base, image]
    options = {"hub-version": hub_version, "wheels": wheels, "network": "none", "label": label}
    return [*words, "--no-pull", *(f"--{name}={value}" for name, value in options.items())]
