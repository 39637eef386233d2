"""The swarm of a fake Engine: a manager, which is the fake itself, and a worker.

Each node has containers and volumes of its own, and what answers at a task is one of them: `fake.exit` and
the others of `tests.fake_engine` count for tasks too. Beside these, in a container's labels or environment:

    fake.preparing   seconds in `preparing`
    fake.starting    seconds in `starting`, as a health check takes them
    fake.unhealthy   1: and the check fails
    fake.rejected    the task is rejected for this reason

What is `running` is reached within some hundredths of a second. Addresses of overlay networks are in
127.0.0.0/8, so that they can be reached.
"""
