"""Options: which image."""

from __future__ import annotations

import jupyterhub
from traitlets import CaselessStrEnum, Dict, Enum, HasTraits, List, Unicode, Union, default

from asyncdockerspawner.traits.per_spawn import PerSpawn

REPOSITORY = "quay.io/jupyterhub/singleuser"


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
        Union([Dict(allow_none=True), List(), Enum(["*"])]),
        {},
        help="""Images that users may choose from.

        - unset or empty (default): users choose nothing;
        - a list of image references;
        - a dictionary: the name that users see → image reference;
        - `"*"`: any image whatever. Whoever may log in can then run any program.

        May be a function of the spawner.
        """,
    ).tag(config=True)

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
