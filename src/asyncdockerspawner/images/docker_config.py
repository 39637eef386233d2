"""The `config.json` of docker's command line, as the Hub's user has it, and the helpers that it names."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asyncdockerspawner.client import programs
from asyncdockerspawner.errors import BadOption, ProgramFailed
from asyncdockerspawner.images import credentials
from asyncdockerspawner.images.credentials import Ask, Credentials

HELPER_TIMEOUT = 20.0
"""A helper may ask a service in the network; one that waits for somebody to type never answers."""

_MOST_BYTES = 2**20


class DockerConfig:
    """Credentials from `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`, read when needed."""

    def __init__(
        self, environ: Mapping[str, str] | None = None, *, helper_timeout: float = HELPER_TIMEOUT
    ) -> None:
        self._environ = os.environ if environ is None else environ
        self._helper_timeout = helper_timeout
        self._read: tuple[tuple[Path, int, int], Mapping[str, Any]] | None = None

    async def credentials_for(self, registry: str) -> Credentials | None:
        """Return the credentials for a registry's host; None where there are none.

        Raises BadOption, which names the file or the helper's program, where either is broken.
        """
        path = self.path()
        config = None if path is None else self._document(path)
        if config is None:
            return None
        found = credentials.decide(config, registry, str(path))
        if not isinstance(found, Ask):
            return found
        # Some log in by hand and keep a helper for other registries.
        return await self._ask(found, str(path)) or credentials.stored(config, registry, str(path))

    def path(self) -> Path | None:
        """The file's place, whether it exists or not; None for a user without a home."""
        if folder := self._environ.get("DOCKER_CONFIG"):
            return Path(folder) / "config.json"
        try:
            home = Path(self._environ.get("HOME") or Path.home())
        except RuntimeError:
            return None
        return home / ".docker" / "config.json"

    async def _ask(self, ask: Ask, source: str) -> Credentials | None:
        try:
            ended = await programs.run(
                [ask.program, "get"],
                environ=self._environ,
                stdin=ask.server.encode(),
                timeout=self._helper_timeout,
            )
        except ProgramFailed as exc:
            raise BadOption(
                f"{source} names a credential helper for {ask.server}: {exc} {credentials.by_hand(ask)}"
            ) from exc
        return credentials.answered(ask, ended.code, ended.stdout + ended.stderr * bool(ended.code))

    def _document(self, path: Path) -> Mapping[str, Any] | None:
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as exc:
            # A service may have another user's HOME; what is not asked for is not missed.
            if isinstance(exc, PermissionError) and not self._environ.get("DOCKER_CONFIG"):
                return None
            raise _unreadable(path, exc) from exc
        version = (path, found.st_mtime_ns, found.st_size)
        if self._read is None or self._read[0] != version:
            self._read = (version, _parsed(path))
        return self._read[1]


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    if len(text) > _MOST_BYTES:
        raise BadOption(f"{path} is larger than {_MOST_BYTES} bytes: this is no configuration of docker's.")
    try:
        config = json.loads(text)
    except json.JSONDecodeError as exc:
        # Without their cause, these two: it would carry the file's text.
        raise BadOption(f"{path} is not JSON: line {exc.lineno}, column {exc.colno}. Correct it.") from None
    except (ValueError, RecursionError):
        raise BadOption(f"{path} is not JSON in UTF-8. Correct it.") from None
    if not isinstance(config, Mapping):
        raise BadOption(f"{path} has to be a JSON object. Correct it.")
    return config


def _unreadable(path: Path, exc: OSError) -> BadOption:
    return BadOption(
        f"{path} cannot be read: {exc.strerror}. Let the Hub's user read it, or have DOCKER_CONFIG name "
        "another folder."
    )
