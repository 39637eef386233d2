"""Options: which image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jupyterhub
from traitlets import CaselessStrEnum, Dict, Enum, Float, HasTraits, List, Unicode, Union, default

from asyncdockerspawner.spawners.options.per_spawn import PerSpawn, SecretOr

REPOSITORY = "quay.io/jupyterhub/singleuser"


class Images(Union):
    """Name → image; a list is read as the names of themselves."""

    def __init__(self) -> None:
        names = Dict(value_trait=Unicode(), key_trait=Unicode(), allow_none=True)
        super().__init__([names, List(Unicode()), Enum(["*"])])

    def validate(self, obj: Any, value: Any) -> Any:
        """Return the mapping that a list stands for."""
        value = super().validate(obj, value)
        return {image: image for image in value} if isinstance(value, list) else value


_IMAGES = Images()


class ImageTraits(HasTraits):
    """Which image a server runs, and how it gets to the Engine's machine."""

    image = Unicode(
        help="""The image that servers run, as `name`, `name:tag` or `name@digest`.

        The default is the single-user image of the JupyterHub project, in the version of the running Hub.
        The single-user server inside should be of the Hub's major version.
        """
    ).tag(config=True)

    @default("image")
    def _image_default(self) -> str:
        major, minor = jupyterhub.version_info[:2]
        return f"{REPOSITORY}:{major}.{minor}"

    allowed_images = PerSpawn(
        _IMAGES,
        {},
        help="""Images that users may choose from.

        - unset or empty (default): users choose nothing;
        - a list of image references;
        - a dictionary: the name that users see → image reference;
        - `"*"`: any image whatever. Whoever may log in can then run any program.

        From two images on, the page that starts a server has a form; a request to the REST API may have
        `{"image": ...}` and the address of that page `?image=...`. May be a function of the spawner.
        """,
    ).tag(config=True)

    def _validate_allowed_images(self, proposal: Mapping[str, Any]) -> Any:
        """Return `proposal["value"]` as `allowed_images`. Raises TraitError where it cannot be that."""
        return _IMAGES.validate(self, proposal["value"])

    pull_policy = CaselessStrEnum(
        ["always", "ifnotpresent", "never", "skip"],
        default_value="ifnotpresent",
        help="""When to pull the image before a server starts.

        - `ifnotpresent` (default): if the Engine's machine does not have it;
        - `always`: at every start, so that a tag that moved is followed;
        - `never`: not at all; a missing image is reported before anything is created;
        - `skip`: not at all, and do not look: the Engine reports a missing image itself.

        Pulling does not count towards `start_timeout`.
        """,
    ).tag(config=True)

    pull_timeout = Float(
        1800.0,
        min=0.0,
        help="""Seconds that a server waits for its image before its spawn fails with a message.

        They do not count towards `start_timeout`. Servers of the same image share one pull, which goes on
        while at least one of them waits for it; what has been downloaded is kept by the Engine.
        """,
    ).tag(config=True)

    registry_auth = SecretOr(
        Dict(allow_none=True),
        {},
        help="""Credentials for registries that images are pulled from.

        A dictionary: the registry's host as image references have it (`docker.io` for those without one) →
        one of

        - `{"username": ..., "password": ...}`;
        - `{"identitytoken": ...}` or `{"registrytoken": ...}`;
        - `{"auth": ...}`, as `docker login` writes it.

        Or a function of the spawner and the host, `def` or `async def`, that gives such credentials for this
        host, or None; it is called before each pull, so tokens may be short-lived::

            async def token(spawner, host):
                if host == "quay.io":
                    return {"username": "robot", "password": Path("/run/secrets/quay").read_text().strip()}

            c.DockerSpawner.registry_auth = token

        For registries that it does not name, and by default for all, docker's `config.json` of the Hub's user
        counts (`$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`), with its credential helpers.

        Who may choose any image (`allowed_images`) can run whatever these credentials may pull: give an
        account that can only read, and only what users may have. Have the secret read from a file or the
        environment: what a configuration says outright is shown by `jupyterhub --show-config`.
        """,
    ).tag(config=True)
