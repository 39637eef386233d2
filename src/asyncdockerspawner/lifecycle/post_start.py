"""`post_start_cmd`: the command that is run inside a server once it has been started."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Sequence

from asyncdockerspawner import errors
from asyncdockerspawner.lifecycle.server import Server
from asyncdockerspawner.workloads import redact

POST_START_SECONDS = 60.0
"""Longer it may not take."""


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
