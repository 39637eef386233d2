"""Options: what objects are called."""

from __future__ import annotations

from traitlets import Any, HasTraits, Unicode, default, validate

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.names import naming


class NamingTraits(HasTraits):
    """Names of containers and the fields of templates."""

    prefix = Unicode(
        "jupyter",
        help="""What object names begin with, and `{prefix}` in templates.

        Give each Hub its own where several Hubs share an Engine.
        """,
    ).tag(config=True)

    name_template = Unicode(
        help="""Template of the object name.

        Fields: `{username}` (escaped), `{raw_username}`, `{servername}` (escaped, empty for the default
        server), `{raw_servername}`, `{imagename}`, `{prefix}`. Default: `{prefix}-{username}`, and
        `{prefix}-{username}--{servername}` for a named server. With named servers, a template of your own
        needs `{servername}`, or a user's servers get in each other's way.
        """
    ).tag(config=True)

    @default("name_template")
    def _default_name_template(self) -> str:
        return naming.default_name_template(str(getattr(self, "name", "")))

    escape = Any(
        help="""How user and server names become parts of object names.

        Unset, every character but `a-z0-9` becomes `-` and its UTF-8 bytes in hexadecimal, which is valid
        in names of hosts. `"legacy"` is the scheme of DockerSpawner before 12, with `_`, for sites that
        have containers or volumes of such names. A callable takes the name and gives the escaped name.
        """
    ).tag(config=True)

    _escape = staticmethod(naming.escape_dns)
    _legacy_escape = staticmethod(naming.escape_legacy)

    @default("escape")
    def _escape_default(self) -> naming.EscapeScheme:
        return self._escape

    @validate("escape")
    def _validate_escape(self, proposal: dict[str, object]) -> naming.EscapeScheme:
        try:
            return naming.scheme(proposal["value"], self._legacy_escape)
        except BadOption as exc:
            # Configuration errors of traitlets' own kinds are what the Hub knows to report at its start.
            raise ValueError(str(exc)) from exc
