"""A service of a real swarm under `internal_ssl`: the Hub is on this machine, and reaches it at its node."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.support.browsing import Picture, lab_is_loaded, log_in, new_notebook, page, picture, runs
from tests.support.hub_site import MakeHub
from tests.support.swarm_hub import left, nothing_left, said_in
from tests.testbed.engine import ensure_engine
from tests.testbed.swarm import Swarm

__all__ = ["page", "picture"]


@pytest.mark.timeout(400)
async def test_a_notebook_computes_and_the_key_is_for_its_user_alone_and_gone_with_the_server(
    make_hub: MakeHub, swarm: Swarm, singleuser_image: str, *, page: Page, picture: Picture
) -> None:
    swarm.worker.load(singleuser_image, ensure_engine())
    hub = make_hub(
        swarm=swarm,
        internal_ssl=True,
        image=singleuser_image,
        extra_create_kwargs={"user": "1000"},
        extra_placement_spec={"constraints": ["node.hostname==worker"]},
    )
    await log_in(page, hub, "alice")
    await lab_is_loaded(page)
    await new_notebook(page)
    await runs(page, "import os; os.environ['JUPYTERHUB_SERVICE_URL'][:8]", gives="'https://'")
    await picture("computed")
    shell = "stat -c '%a %u' $JUPYTERHUB_SSL_KEYFILE; cat $JUPYTERHUB_SSL_KEYFILE"
    owner, _, line, *_ = said_in(hub, swarm, "alice", "sh", "-c", shell).splitlines()
    assert owner.split() == ["400", "1000"]
    service = hub.objects.inspect(f"{hub.prefix}-alice")
    secrets = swarm.http.get("/secrets").raise_for_status().text
    assert line.strip() not in f"{service}{secrets}{hub.process.log_text()}"
    assert len(left(hub)["secrets"]) == 3
    await hub.api.stop_server("alice")
    await nothing_left(hub)
