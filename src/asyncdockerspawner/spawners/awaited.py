"""The steps that sites and subclasses may do in their own way, as `lifecycle` has them done: awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncdockerspawner.jsontypes import JsonObject
from asyncdockerspawner.lifecycle import resolved
from asyncdockerspawner.spawners import image_choice
from asyncdockerspawner.spawners.launch_inputs import object_name
from asyncdockerspawner.workloads.body import Body
from asyncdockerspawner.workloads.observed import Observed

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.overrides import Overridable


class AwaitedOverrides:
    """Calls a spawner's methods, be they plain, `async def`, or whatever can be awaited."""

    def __init__(self, spawner: Overridable) -> None:
        self._spawner = spawner

    async def choose(self, *, final: bool) -> None:
        """Apply the user's choice of an image."""
        await image_choice.choose(self._spawner, final=final)

    async def pull(self, image: str) -> None:
        """Call `pull_image`."""
        await resolved(self._spawner.pull_image(image))

    def use_image(self, image: str) -> None:
        """Set `image`."""
        self._spawner.image = image

    def usual_name(self) -> str:
        """Return the default of `object_name`."""
        return object_name(self._spawner)

    async def body(self) -> Body:
        """Return what the object would be made from now."""
        return await self._spawner._body()

    async def find(self) -> Observed | None:
        """Call `get_object`, and read the document that it gives."""
        document: JsonObject | None = await resolved(self._spawner.get_object())
        return None if document is None else await self._spawner._managed.workload.observed(document)

    async def create(self) -> str:
        """Call `create_object`."""
        made = await resolved(self._spawner.create_object())
        return str(made[self._spawner.object_id_key])

    async def start(self) -> None:
        """Call `start_object`."""
        await resolved(self._spawner.start_object())

    async def after_start(self) -> None:
        """Call `post_start_exec`."""
        await resolved(self._spawner.post_start_exec())

    async def address(self) -> tuple[str, int]:
        """Call `get_ip_and_port`."""
        ip, port = await resolved(self._spawner.get_ip_and_port())
        return str(ip), int(port)

    async def stop(self) -> None:
        """Call `stop_object`."""
        await resolved(self._spawner.stop_object())

    async def remove(self) -> None:
        """Call `remove_object`."""
        await resolved(self._spawner.remove_object())
