"""What a swarm does late, or refuses once, is cleared away all the same; over the fake Engine's."""

from __future__ import annotations

from typing import Any

import pytest

from asyncdockerspawner.engine import janitor, registry
from asyncdockerspawner.lifecycle import obtain, reconcile, wanted
from asyncdockerspawner.workloads.service import source
from tests.fake_engine import FakeEngine
from tests.support.site import Site
from tests.support.starts import nothing_left
from tests.support.waiting import until
from tests.support.workloads import Services
from tests.support.world import MakeWorld

pytestmark = [
    pytest.mark.fake_engine,
    pytest.mark.parametrize("workload", [Services], indirect=True, ids=["service"]),
]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again without waiting long."""
    monkeypatch.setattr(wanted, "LATE_PAUSES", (0.2,) * 20)
    monkeypatch.setattr(obtain, "LOST_SECONDS", 0.05)
    monkeypatch.setattr(reconcile, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(source, "SHORTEST", 0.05)
    monkeypatch.setattr(janitor, "RETRY_PAUSES", (0.5,))


@pytest.mark.parametrize(("made", "options"), [("service", {}), ("secret", {"secrets": {"key": "hidden"}})])
async def test_what_is_made_after_its_start_was_given_up_is_removed(
    make: MakeWorld, fake: FakeEngine, fake_site: Site, made: str, options: dict[str, Any]
) -> None:
    world = make(**options, client_kwargs={"base_url": fake.url, "timeout": 0.4})
    fake.rule("POST", f"^/{made}s/create$", delay_before=1)
    with pytest.raises(Exception, match="does not answer"):
        await world.spawn()
    await until(lambda: any(each["Type"] == made for each in fake.state()["events"]))
    assert await nothing_left(fake_site)


async def test_a_removal_that_is_refused_once_is_done_when_no_list_tells_of_the_service_any_more(
    make: MakeWorld, fake: FakeEngine, fake_site: Site
) -> None:
    world = make(orphan_policy="remove")
    await world.spawn("one")
    await registry.close_engines()
    world.db.delete(world.user.orm_user.orm_spawners["one"])
    world.db.commit()
    fake.rule("DELETE", "^/services/", status=500, message="not now", times=1)
    world = world.restarted()
    watch = world.new_spawner("other")._managed.watch
    watch.begin()
    await until(lambda: fake.requests("DELETE", "/services/{ref}"))
    # It has no task any more.
    await until(lambda: watch.all() == [])
    assert await nothing_left(fake_site)
