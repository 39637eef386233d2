"""Options: how many servers start at a time, and what is made ahead for them."""

from __future__ import annotations

from traitlets import Float, HasTraits, Int


class QueueTraits(HasTraits):
    """The queue of starts, one for each Engine."""

    concurrent_starts = Int(
        None,
        allow_none=True,
        min=0,
        help="""How many servers start at a time on one Engine; the others wait in the order of their coming.

        Unset, two for each CPU of the Engine's machine at first, more where the Engine is far away; then
        what is learnt from how long starts take while many wait: the fewest, up to four times as many as at
        first, with which about as many servers start per second as with more. 0 starts all at once. A start
        holds its place until its server answers or has ended, for at most `start_hold`. Kept containers
        that are started again, and stops, never wait.

        JupyterHub's `concurrent_spawn_limit` bounds how many may wait or start together; this option gives
        them an order. The first server that an Engine starts decides: a change takes a restart of the Hub.
        """,
    ).tag(config=True)

    start_hold = Float(
        30.0,
        min=0.0,
        help="""Seconds after the start of its container for which a server that does not answer yet keeps
        its place among the `concurrent_starts`.

        A place is for the CPU time that a server needs until it answers: on a slow machine, four notebooks
        at a time may need 20 seconds. With a lower value servers that never answer are in the way of others
        for less long, and the crowd starts side by side if it is lower than servers need.
        """,
    ).tag(config=True)

    queue_timeout = Float(
        600.0,
        min=0.0,
        help="""Seconds that a server waits for its turn to start before its spawn fails with a message.

        They do not count towards `start_timeout`.
        """,
    ).tag(config=True)

    sandboxes = Int(
        0,
        min=0,
        help="""How many networks are kept ready on each Engine for servers to come. 0 makes none.

        About half of a start is its network: an address, and a published port. A sandbox is a container that
        has them already and runs a program that does nothing. A server that starts takes one, has it to
        itself, and both end together. New ones are made while nothing else starts, else one every half
        minute.

        They serve servers whose container is removed when they stop (`remove`), on machines of x86-64 and
        aarch64. Servers with options of their own for the network start in the usual way, which the log says
        once: README lists them. The first server at an Engine that can be in a sandbox decides which network,
        port and address all of them have; a change takes a restart of the Hub.
        """,
    ).tag(config=True)
