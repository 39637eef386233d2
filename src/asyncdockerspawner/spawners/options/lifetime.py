"""Options: what happens after a start, at a stop, and when a start fails."""

from __future__ import annotations

from traitlets import Bool, Enum, HasTraits, Int, List, Unicode, Union


class LifetimeTraits(HasTraits):
    """The edges of a server's life."""

    post_start_cmd = Union(
        [Unicode(), List(Unicode()), Enum([False])],
        default_value=False,
        help="""A command to run inside the container once it has been started: a text, split as a shell
        does, or a list of words. False is none. It is run without a shell: `&&`, `|`, `cd` and the like
        need `sh -c '...'` around them.

        What it writes goes to the Hub's log, stderr as a warning, and so does an exit code that is not 0.
        """,
    ).tag(config=True)

    post_start_required = Bool(
        False, help="""Fail the spawn if `post_start_cmd` cannot be run or ends with a code that is not 0."""
    ).tag(config=True)

    stop_timeout = Int(
        None,
        allow_none=True,
        min=0,
        help="""Seconds that a server has to end by itself when it is stopped, before it is killed.

        Unset, it is the container's own `stop_timeout`, or the Engine's 10 s.
        """,
    ).tag(config=True)

    keep_failed = Bool(
        False,
        help="""Keep the container of a start that failed, for an administrator to look into.

        It is stopped, the log has its name, and the user's next start removes it. Of a service, all but its
        task is kept.
        """,
    ).tag(config=True)

    failure_log_lines = Int(
        20,
        min=0,
        max=1000,
        help="""How many of its last log lines are shown, to the user and in the Hub's log, when a server ends
        before it answers, or later by itself. 0 shows none.

        Tokens, passwords and the like are masked, as far as they can be told from other text.
        """,
    ).tag(config=True)
