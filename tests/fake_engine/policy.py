"""Whether and when a container that has ended by itself is started again."""

from __future__ import annotations

from tests.fake_engine.state import Container

FIRST_PAUSE = 0.1
LONGEST_PAUSE = 60.0


def starts_again(container: Container, code: int) -> bool:
    """Whether its restart policy wants it after an end by itself, or when the Engine comes back."""
    policy = container.host_config["RestartPolicy"]
    name, most = policy.get("Name") or "no", policy.get("MaximumRetryCount") or 0
    if name == "on-failure":
        return code != 0 and (most == 0 or container.restarts < most)
    return name == "always" or (name == "unless-stopped" and not container.by_hand)


def pause(container: Container) -> float:
    """How long it waits: twice as long as the last time."""
    return float(min(FIRST_PAUSE * 2**container.restarts, LONGEST_PAUSE))
