"""What the cases of a run stand on, brought up when first asked for: Engine, images, Hubs, a folder."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.contenders import Contender, contenders
from benchmarks.engine import BareEngine, Floor
from benchmarks.frame.case import Who
from benchmarks.frame.machine import machine
from benchmarks.hubs.hub import MeasuredHub, measured_hub
from benchmarks.measures.slow_image import SECONDS, SlowImage, slow_image
from tests.testbed.engine import ensure_engine
from tests.testbed.images import ensure_stub_image, ensure_stubborn_image
from tests.testbed.proxy import ensure_proxy
from tests.testbed.singleuser import ensure_singleuser_image


class Bench:
    """One run's belongings. At its end the Hubs are stopped, and all its containers are removed."""

    def __init__(self, folder: Path, who: Collection[Who], *, small: bool = False) -> None:
        engine = ensure_engine()
        self.folder = folder
        self.who = frozenset(who)
        self.small = small
        """Whether cases are only seen to work: nothing is tuned, nothing waits long."""
        self.engine_url = engine.url
        self.prefix = f"bench-{secrets.token_hex(3)}"
        self.contenders = contenders(self.who, self.stub, self.prefix)
        self.machine: Mapping[str, Any] = machine(engine.version, self._peer())
        self._hubs: dict[Who, MeasuredHub] = {}
        self._stack = AsyncExitStack()
        self._floor: Floor | None = None

    @asynccontextmanager
    async def in_use(self) -> AsyncIterator[Bench]:
        """Have an Engine's client for the time of the block, and clean up at its end."""
        async with BareEngine(self.engine_url) as self.engine:
            try:
                async with self._stack:
                    yield self
            finally:
                await self.engine.remove_all(f"{self.prefix}-")

    @cached_property
    def stub(self) -> str:
        """The image of a server of 2 MB that answers."""
        return ensure_stub_image()

    @cached_property
    def stubborn(self) -> str:
        """The image of one that ignores SIGTERM."""
        return ensure_stubborn_image()

    @cached_property
    def notebook(self) -> str:
        """The image of a real notebook server, of the JupyterHub that both Hubs have."""
        return ensure_singleuser_image(version("jupyterhub"))

    async def hubs(self) -> dict[Who, MeasuredHub]:
        """A Hub for each contender, the same ones for all cases of a run."""
        ensure_proxy()
        for contender in self.contenders:
            if contender.who not in self._hubs:
                hub = await self._stack.enter_async_context(measured_hub(contender, self.folder))
                self._hubs[contender.who] = hub
        return self._hubs

    async def floors(self) -> dict[Who, Floor]:
        """The bare Engine at its best concurrency, if it is to be measured."""
        if Who.FLOOR not in self.who:
            return {}
        if self._floor is None:
            self._floor = Floor(self.engine, f"{self.prefix}-floor", self.stub)
            if not self.small:
                await self._floor.tune()
        return {Who.FLOOR: self._floor}

    @asynccontextmanager
    async def slow_image(self) -> AsyncIterator[SlowImage]:
        """An image that takes some seconds to come."""
        seconds = 1.0 if self.small else SECONDS
        async with slow_image(self.stub, self.folder, self.engine, seconds) as image:
            yield image

    def contender(self, who: Who) -> Contender | None:
        """One of the contenders, if it is to be measured."""
        return next((each for each in self.contenders if each.who is who), None)

    def _peer(self) -> Path | None:
        peer = self.contender(Who.PEER)
        return peer.python if peer else None
