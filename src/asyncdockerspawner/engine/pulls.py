"""Making sure that an image is on the Engine's machine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from asyncdockerspawner import errors, references
from asyncdockerspawner.client.images import Images
from asyncdockerspawner.jsontypes import JsonObject


@dataclass(slots=True)
class _Shared:
    task: asyncio.Task[None]
    waiters: int = 0


class Pulls:
    """Ensures images, with one pull for all spawns that wait for it, and remembers which are there.

    What is remembered saves the usual spawn a request; `forget` corrects it when the Engine knows better.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self._present: set[str] = set()
        self._shared: dict[tuple[str, bool], _Shared] = {}

    async def ensure(self, image: str, policy: str) -> None:
        """Bring `image` to the Engine's machine as `policy` says: always, ifnotpresent, never or skip.

        Raises ImageUnavailable when it is not there afterwards. Cancelled, it leaves the pull to the others
        who wait for it; the last one to leave ends it.
        """
        if policy == "skip" or (policy != "always" and image in self._present):
            return
        if policy == "never":
            if await self._images.inspect(image) is None:
                raise errors.ImageUnavailable(
                    f"The image {image} is not on the Engine's machine and `pull_policy` is 'never': pull it "
                    "there, or choose 'ifnotpresent'."
                )
            self._present.add(image)
            return
        await self._share(image, anew=policy == "always")

    def forget(self, image: str) -> None:
        """Take back that `image` is there."""
        self._present.discard(image)

    async def document(self, image: str) -> JsonObject:
        """Give the image's document. Raises ImageUnavailable where there is none."""
        found = await self._images.inspect(image)
        if found is None:
            self.forget(image)
            raise errors.ImageUnavailable(f"The image {image} is not on the Engine's machine.")
        return found

    async def _share(self, image: str, *, anew: bool) -> None:
        key = (image, anew)
        shared = self._shared.get(key)
        if shared is None:
            shared = self._shared[key] = _Shared(asyncio.create_task(self._bring(image, anew=anew)))
        shared.waiters += 1
        try:
            await asyncio.shield(shared.task)
        finally:
            shared.waiters -= 1
            if not shared.waiters or shared.task.done():
                shared.task.cancel()
                if self._shared.get(key) is shared:
                    del self._shared[key]

    async def _bring(self, image: str, *, anew: bool) -> None:
        if anew or await self._images.inspect(image) is None:
            await self._pull(image)
        self._present.add(image)

    async def _pull(self, image: str) -> None:
        name, tag = references.split_reference(image)
        self.forget(image)
        try:
            await self._images.pull(name, tag)
        except errors.PullError as exc:
            raise errors.ImageUnavailable(f"The image {image} could not be pulled: {exc.message}") from exc
        # A stream that breaks off can look like its end: only the Engine's own answer proves success.
        await self.document(image)
