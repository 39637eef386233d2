"""`python -m asyncdockerspawner.rebase BASE TAG`: a single-user image on another base.

The Engine builds it; what it says is shown as it comes. The image gets its name only when the
single-user server in it has told its version, so a build that fails leaves an image of that name as it was.

Exit status: 0 the image is there, 1 it could not be built, 2 the command line, 3 the server in it does not
fit the Hub, 130 interrupted. Nothing is left but what makes the next time faster.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import jupyterhub

from asyncdockerspawner import errors
from asyncdockerspawner.client.client import Client
from asyncdockerspawner.client.settings import resolve
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.rebase import recipe

CHECK_SECONDS = 120.0
CHECK_LINES = 50
ENDING_SECONDS = 15.0
NOT_FOUND = 127
"""What a shell ends with where there is no such program."""
READY, NOT_BUILT, MISUSED, UNFIT, INTERRUPTED = 0, 1, 2, 3, 130
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class Unfit(errors.AsyncDockerSpawnerError):
    """The image was built, but its single-user server does not fit the Hub."""


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for on the command line, with the files that it names."""

    recipe: recipe.Recipe
    files: tuple[tuple[str, bytes], ...]
    """What the recipe's `/rebase` holds beside the requirements."""
    network: str | None
    labels: Mapping[str, str]
    build_args: Mapping[str, str]


@dataclass(slots=True)
class Told:
    """What the Engine has told of a build: the step begun last, and the image after the last that ended."""

    step: str = ""
    layer: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit status."""
    try:
        return asyncio.run(run(sys.argv[1:] if arguments is None else arguments))
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("Interrupted: no container is left, and no image.", file=sys.stderr)
        return INTERRUPTED


async def run(arguments: Sequence[str]) -> int:
    """Do what the command line says; gives the exit status. SIGTERM ends it as ctrl-C does."""
    try:
        order = read(arguments, os.environ)
        client = Client(resolve({}, {}, os.environ))
    except errors.BadOption as exc:
        print(exc, file=sys.stderr)
        return MISUSED
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    for number in INTERRUPTS:
        # Ctrl-C too: whoever starts programs in the background may have them ignore it.
        loop.add_signal_handler(number, task.cancel)
    try:
        await rebase(client, order)
    except Unfit as exc:
        print(f"\n{exc}\nThe image has not been given the name {order.recipe.tag}.", file=sys.stderr)
        return UNFIT
    except errors.EngineError as exc:
        print(f"\n{_sentence(exc)}", file=sys.stderr)
        return NOT_BUILT
    finally:
        for number in INTERRUPTS:
            loop.remove_signal_handler(number)
        await client.close()
    return READY


def read(arguments: Sequence[str], environ: Mapping[str, str]) -> Order:
    """Read the command line; exits as argparse does. Raises BadOption for what cannot be used."""
    asked = _parser(environ).parse_args(arguments)
    wanted = recipe.Recipe(
        base=asked.base,
        tag=asked.tag,
        hub_version=asked.hub_version,
        pip=tuple(asked.pip),
        user=asked.user,
        pull=asked.pull,
        entrypoint=asked.entrypoint,
        offline=asked.wheels is not None,
    )
    pip = {**environ, **({"PIP_INDEX_URL": asked.index_url} if asked.index_url else {})}
    files = [("pip.conf", recipe.pip_conf(pip, certificates=bool(asked.ca)).encode())]
    try:
        if asked.ca:
            files.append(("ca.pem", Path(asked.ca).read_bytes()))
        if asked.wheels is not None:
            wheels = sorted(each for each in Path(asked.wheels).iterdir() if each.suffix == ".whl")
            files += [(f"wheels/{wheel.name}", wheel.read_bytes()) for wheel in wheels]
    except OSError as exc:
        raise errors.BadOption(f"{exc.filename} cannot be read: {exc.strerror}.") from exc
    labels = dict(label.partition("=")[::2] for label in asked.label)
    return Order(wanted, tuple(files), asked.network, labels, recipe.proxies(environ))


async def rebase(client: Client, order: Order) -> None:
    """Build, check and name the image. Raises EngineError, Unfit; whatever happens, no container is left."""
    wanted = order.recipe
    mark = uuid.uuid4().hex
    print(f"Building {wanted.tag} on {wanted.base} with JupyterHub {wanted.hub_version}", flush=True)
    await _look_at_base(client, wanted.base)
    told = Told()
    try:
        image = await _build(client, order, mark, told)
        print(f"Asking the image for its version: {recipe.PROGRAM} --version", flush=True)
        wrong = recipe.verdict(wanted, *await _ask_version(client, image, mark))
        if wrong is not None:
            raise Unfit(wrong)
        await client.builds.tag(image, *wanted.named)
    finally:
        await _forget(client, mark)
        await _drop_unnamed(client, told.layer)
    print(f"\n{wanted.tag} is ready. In the Hub's jupyterhub_config.py, write:\n")
    print(recipe.configuration(wanted), flush=True)


async def _look_at_base(client: Client, base: str) -> None:
    """Refuse a base without a name: the Engine would remove it together with what is left of the build."""
    found = await client.images.inspect(base)
    if found is not None and not found["RepoTags"] and not found["RepoDigests"]:
        message = f"The base {base} has no name at the Engine: give it one (docker tag), and say that."
        raise errors.BuildFailed("build image", base, message)


async def _build(client: Client, order: Order, mark: str, told: Told) -> str:
    def show(line: JsonObject) -> None:
        text = str(line.get("stream") or "")
        told.step = text if text.startswith("Step ") else told.step
        told.layer = recipe.layer(text) or told.layer
        print(recipe.shown(line), end="", flush=True)

    wanted = order.recipe
    files = (("requirements.txt", recipe.requirements(wanted).encode()), *order.files)
    context = recipe.archive(
        [
            ("Dockerfile", recipe.dockerfile(wanted, mark).encode()),
            *((f"rebase/{name}", content) for name, content in files),
        ]
    )
    try:
        return await client.builds.build(
            context,
            subject=wanted.tag,
            pull=wanted.pull,
            network=order.network,
            labels=order.labels,
            build_args=order.build_args,
            on_line=show,
        )
    except errors.BuildFailed as exc:
        message = recipe.explained(wanted, told.step, exc.message, exc.code)
        raise errors.BuildFailed(exc.operation, exc.subject, message, status=exc.status) from exc


async def _ask_version(client: Client, image: str, mark: str) -> tuple[int, str]:
    """Run the program as a spawn would, through the image's own entrypoint; gives exit code and output."""
    body = {
        "Image": image,
        "Cmd": [recipe.PROGRAM, "--version"],
        "Labels": {recipe.STAGE_LABEL: mark},
        "HostConfig": {"NetworkMode": "none"},
    }
    async with _container(client, f"rebase-{mark}", body) as ref:
        try:
            await client.containers.start(ref)
        except errors.StartFailed as exc:
            return NOT_FOUND, exc.message
        code = await client.containers.wait(ref, timeout=CHECK_SECONDS)
        return code, await client.containers.logs(ref, tail=CHECK_LINES)


@asynccontextmanager
async def _container(client: Client, name: str, body: JsonObject) -> AsyncIterator[str]:
    making = asyncio.ensure_future(client.containers.create(name, body))
    try:
        yield await asyncio.shield(making)
    finally:
        # A request that was sent is carried out, whether we wait for it or not.
        await asyncio.wait([making])
        await client.containers.remove(name, force=True)


async def _forget(client: Client, mark: str) -> None:
    """Remove what is left of the stages; a build that was cut off may still be ending."""
    end = time.monotonic() + ENDING_SECONDS
    marked = {recipe.STAGE_LABEL: mark}
    while await client.containers.list(marked) and time.monotonic() < end:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.1)
    await client.builds.forget(f"{recipe.STAGE_LABEL}={mark}")


async def _drop_unnamed(client: Client, image: str) -> None:
    """Remove the last image of a build, unless it has a name: then it is the result, or the base."""
    found = await client.images.inspect(image)
    if found is None or found["RepoTags"] or found["RepoDigests"]:
        return
    # Refused is what another image stands on.
    with suppress(errors.EngineRefused):
        await client.builds.remove(image)


def _sentence(exc: errors.EngineError) -> str:
    return exc.message if isinstance(exc, errors.BuildFailed) else f"Cannot {exc.operation}: {exc.message}"


def _parser(environ: Mapping[str, str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m asyncdockerspawner.rebase",
        description="Build a single-user image on another base, at the Engine of DOCKER_HOST.",
        epilog="The base is Debian, Ubuntu or Alpine, or any image that has Python 3 with venv and bash. "
        "pip's environment variables (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_TRUSTED_HOST, "
        "PIP_DEFAULT_TIMEOUT, PIP_CERT) and proxies (HTTP_PROXY, ...) count inside the build and are not "
        "kept in the image. Exit status: 0 ready, 1 not built, 2 wrong command line, 3 does not fit the Hub, "
        "130 interrupted.",
    )
    add = parser.add_argument
    add("base", metavar="BASE", help="image to build on")
    add("tag", metavar="TAG", help="name of the new image")
    add(
        "--pip",
        metavar="PACKAGE",
        nargs="+",
        action="extend",
        default=[],
        help="more to install, as in a requirements file",
    )
    add(
        "--hub-version",
        metavar="VERSION",
        default=jupyterhub.__version__,
        help="version of the Hub, such as 6.1.1 or 6.1.* (default: %(default)s, the one installed here)",
    )
    add("--user", default="jovyan", help="whom servers run as, made with id 1000 (default: %(default)s)")
    add("--index-url", metavar="URL", help="where pip looks for packages")
    add(
        "--ca",
        metavar="FILE",
        default=environ.get("PIP_CERT"),
        help="certificates that pip trusts (default: PIP_CERT)",
    )
    add("--wheels", metavar="FOLDER", help="install from these wheels alone, without any network")
    add("--network", metavar="MODE", help="network of the build: host, none, or a network's name")
    add("--no-pull", dest="pull", action="store_false", help="take the base as the Engine's machine has it")
    add(
        "--no-entrypoint",
        dest="entrypoint",
        action="store_false",
        help="do not keep the base's ENTRYPOINT",
    )
    add("--label", metavar="KEY=VALUE", action="append", default=[], help="a label for the image")
    return parser
