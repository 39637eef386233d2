"""What goes with an object: its volumes, and the command after its start."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Callable, Mapping, Sequence

from asyncdockerspawner import errors
from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.names import labels, volume_owners
from asyncdockerspawner.workloads import redact
from asyncdockerspawner.workloads.container.body import mounted, named_volumes, volume_driver

POST_START_SECONDS = 60.0
"""Longer a command after the start may not take."""


async def ensure_volumes(server: Server, body: JsonObject, scopes: Callable[[], Mapping[str, str]]) -> None:
    """Create the volumes that go with their user, with labels that say so; the Engine makes the others.

    `scopes` gives volume name → whose alone it is, `user` or `server`.
    """
    named, personal = list(named_volumes(body)), dict[str, str]()
    if server.policy.delete_volumes_on_user_delete:
        personal = dict(scopes())
    else:
        # Whose they are alone is not asked, which takes a site's own code with names that nobody has; should
        # the option be set later, it is known that they were used here.
        server.record.own_volumes = {**dict.fromkeys(named, ""), **server.record.own_volumes}
    server.record.own_volumes = {**server.record.own_volumes, **personal}
    # Only named servers are renamed.
    server.record.mounted = sorted(set(mounted(body))) if server.owner.servername else ()
    driver = volume_driver(body)
    for name in named:
        scope = personal.get(name)
        if scope is None or name in server.engine.volumes:
            continue
        with server.engine.optional("Users' volumes carry no labels"):
            await server.engine.client.volumes.create(name, labels=_labels(server, scope), driver=driver)
        # What may not be made ahead, the Engine makes with the container.
        server.engine.volumes.add(name)


async def post_start(server: Server) -> None:
    """Run `post_start_cmd`, and log what it wrote; its failure is the spawn's only if that is asked for."""
    words, hint = command_words(server.policy.post_start_cmd)
    try:
        ended = await server.workload.container.run(server.record.object_id, words, POST_START_SECONDS)
        code, streams = ended.code, {"stdout": ended.stdout, "stderr": ended.stderr}
    except errors.EngineError as exc:
        code, streams = -1, {"stderr": exc.message}
    wrote = {name: redact.redacted(text.strip(), [server.hub.api_token]) for name, text in streams.items()}
    if code:
        said = " ".join([f"`post_start_cmd` failed with code {code}:", *filter(None, wrote.values()), hint])
        if server.policy.post_start_required:
            raise errors.ServerDied("A command that prepares the server has failed.", advice=said.strip())
        server.log.warning("%s: %s", server.object_name, said.strip())
        return
    if hint:
        server.log.warning("%s: %s", server.object_name, hint)
    for name, level in (("stdout", logging.DEBUG), ("stderr", logging.WARNING)):
        if wrote[name]:
            server.log.log(
                level, "`post_start_cmd` of %s wrote to %s: %s", server.object_name, name, wrote[name]
            )


def command_words(command: str | Sequence[str]) -> tuple[list[str], str]:
    """Return the words of a command that is run without a shell, and a hint where it was written for one.

    Raises BadOption where a text cannot be split into words.
    """
    if isinstance(command, str):
        try:
            words = shlex.split(command)
        except ValueError as exc:
            raise errors.BadOption(f"`post_start_cmd` is {command!r}, which is no command: {exc}.") from exc
        found = _FOR_A_SHELL.search(_QUOTED.sub("", command))
        meant = found[0] if found else ""
    else:
        words = [str(word) for word in command]
        # Other signs may well be meant for the program.
        meant = next((word for word in words if word in {"&&", "||"}), "")
    if words and words[0] in _OF_A_SHELL:
        meant = words[0]
    if not meant:
        return words, ""
    return (
        words,
        f"`post_start_cmd` is run without a shell, which `{meant}` needs: write sh -c '...' around it.",
    )


_QUOTED = re.compile(r"""\\. | '[^']*' | "(?:\\.|[^"\\])*\"""", re.DOTALL | re.VERBOSE)
_FOR_A_SHELL = re.compile(r"&&|\|\||[|;<>`]|\$\(")
_OF_A_SHELL = frozenset({"cd", "export", "source", "."})


def _labels(server: Server, scope: str) -> dict[str, str]:
    owner = server.owner
    found = {labels.HUB: owner.hub_id, labels.USER: owner.username}
    if scope == volume_owners.Scope.SERVER:
        found[labels.SERVER] = owner.servername
    return found
