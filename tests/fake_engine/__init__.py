"""An HTTP Engine on a Unix socket, a process of its own: Docker 20.10, 28.5 or 29, as `dialects` has it.

`python -m tests.fake_engine SOCKET` serves; tests use `FakeEngine`. How a container behaves is said by labels
of its image or its own, or by its environment (`fake.exit` is `FAKE_EXIT`):

    fake.http        0: its port is published, but nobody answers (default 1: HTTP 200 for everything)
    fake.imports     seconds before it listens on the machine's own network (default 0)
    fake.exit        it exits by itself with this code,
    fake.exit_after  so many seconds after its start (default 0.05; 0: before start's answer)
    fake.oom         1: and it was the kernel's out-of-memory killer
    fake.stdout, fake.stderr   the lines it writes at its start
    fake.slowstop    1: SIGTERM does nothing, so that a stop takes its whole grace
    fake.term_code   its exit code after SIGTERM (default 0)
    fake.changes     what it does to its files, in the lines of `docker diff`: "A /home/jovyan/x"

It may be the manager of a swarm of two nodes: `tests.fake_engine.swarm`.

A command whose first word contains `no-such` cannot be run. Containers have addresses in 127.0.0.0/8, so that
`use_internal_ip` reaches them.
"""

from tests.fake_engine.client import FakeEngine

__all__ = ["FakeEngine"]
