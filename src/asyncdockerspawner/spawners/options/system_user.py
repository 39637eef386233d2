"""Options: whose account a server runs as, and which home it has."""

from __future__ import annotations

from typing import Any

from traitlets import Bool, HasTraits, Integer, List, Unicode, Union

from asyncdockerspawner.spawners.options.per_spawn import FunctionOr

_FUNCTION = """May be a function of the spawner, `def` or `async def`: it is called before `pre_spawn_hook`,
        has 30 s, and may give None for a user whom it does not know."""


class OfTheAccount(FunctionOr):
    """A part of the user's account: a value, or a function that gives one.

    Read, it is always a value: the one that was set, else what is known of the user.
    """

    def get(self, obj: Any, cls: type | None = None) -> Any:
        """Return the value; where none is set or known, what says so: -1, or an empty text."""
        name = str(self.name)
        # While traitlets checks what a configuration has set, it writes back what it has read.
        if obj._cross_validation_lock:
            return super().get(obj, cls)
        value = obj._trait_values.get(name)
        if value is None or callable(value) or value == self.default_value:
            return obj.trait_defaults(name)
        return value


class SystemUserTraits(HasTraits):
    """The user's account and home."""

    host_homedir_format_string = Unicode(
        "/home/{username}",
        help="""The user's home on the machine that the servers run on: a format string that may name
        `{username}`, the user's name as it is. It has to be there.

        Empty, it is what the system's name service says. See `host_home`.
        """,
    ).tag(config=True)

    image_homedir_format_string = Unicode(
        "/home/{username}",
        help="""The user's home inside the container, which is the server's working directory and HOME: a
        format string that may name `{username}`, the user's name as it is.
        """,
    ).tag(config=True)

    homedir_bind_propagation = Unicode(
        "",
        help="""How mounts below the home come and go inside the container: `rslave` for homes that are
        mounted when they are used (autofs), or another of the Engine's words.
        """,
    ).tag(config=True)

    run_as_root = Bool(
        False,
        help="""Start the container as root, and leave it to the image to become the user by NB_USER, NB_UID
        and NB_GID, as those of docker-stacks do: the user then has a name inside.

        With an image that does not, its users are root. Unset, the container runs as the user's uid and gid,
        which any image can.
        """,
    ).tag(config=True)

    user_id = OfTheAccount(
        Integer(allow_none=True),
        -1,
        help=f"""The user's uid; unset (-1), it is asked of the system's name service. {_FUNCTION}

            async def uid(spawner):
                return (await spawner.user.get_auth_state())["uidNumber"]

            c.SystemUserSpawner.user_id = uid
        """,
    ).tag(config=True)

    group_id = OfTheAccount(
        Integer(allow_none=True),
        -1,
        help=f"""The gid of the user's primary group; unset (-1), it is asked of the system's name service.
        Where nobody knows it, it is what the image has for the uid, else that of the group root. {_FUNCTION}
        """,
    ).tag(config=True)

    host_home = OfTheAccount(
        Unicode(allow_none=True),
        "",
        help=f"""The user's home on the machine that the servers run on, as it is, no template. Set, it counts
        more than `host_homedir_format_string`. {_FUNCTION}
        """,
    ).tag(config=True)

    supplementary_groups = FunctionOr(
        Union([Bool(), List(Union([Integer(), Unicode()]))], allow_none=True),
        False,
        help="""More groups that the server is in, so that it reaches shared folders: True asks the system's
        name service for the user's; a list has their gids. May be a function of the spawner, `def` or
        `async def`, that gives such a list.

        With `run_as_root`, the image decides: docker-stacks' start script drops them.
        """,
    ).tag(config=True)

    passwd_entry = Bool(
        False,
        help="""Give the user a name inside the container, where the image has none for the uid: a line in its
        /etc/passwd, put there before each start, so that `whoami`, ssh and git work.

        It costs three requests of the Engine at each start. With `run_as_root` it is the image that does so.
        """,
    ).tag(config=True)

    umask = Unicode(
        "",
        help="""The umask of the server, in octal digits such as `007`, for images of docker-stacks: it is
        given to them as NB_UMASK, which they heed only with `run_as_root`.
        """,
    ).tag(config=True)
