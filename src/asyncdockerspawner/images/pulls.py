"""Making sure that an image is on the Engine's machine."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from asyncdockerspawner import errors
from asyncdockerspawner.client.images import Images
from asyncdockerspawner.errors import PullReason
from asyncdockerspawner.images import references
from asyncdockerspawner.images.credentials import Credentials
from asyncdockerspawner.images.pull_progress import PullProgress
from asyncdockerspawner.jsontypes import JsonObject

RETRY_PAUSES = (1.0, 3.0)
"""Seconds before a pull that the network broke off is tried again."""
GRACE_SECONDS = 10.0
"""How long a pull goes on that nobody waits for any more: who has reloaded the page comes back."""
PRESENT_SECONDS = 60.0
"""How long an image that was there is taken to be there still; somebody may remove it behind our back."""
FRESH_SECONDS = 5.0
"""With `always`, an image that was pulled so recently is not asked for again."""
PUT_OFF_SECONDS = 600.0
"""How long an image that could not be had is left alone by those who may not need it."""
REPORT_SECONDS = 2.0
"""Between two reports to those who wait: the Hub's page keeps every one of them."""
SILENCE_SECONDS = 20.0
"""After so long without news from the Engine, those who wait get a report of that."""

_REASONS = {
    PullReason.DENIED: (
        "the registry denies it, or has no such image",
        "Check the name in `image` or `allowed_images`, and `registry_auth`.",
    ),
    PullReason.LIMITED: (
        "the registry limits how often images are pulled. Try again later",
        "Set `registry_auth`, or have a mirror near the Engine.",
    ),
    PullReason.UNKNOWN: (
        "the registry has no such image",
        "Check its name and tag in `image` or `allowed_images`.",
    ),
    PullReason.PLATFORM: (
        "the image is not made for the Engine's kind of machine",
        "Give one that is in `image` or `allowed_images`.",
    ),
    PullReason.INSECURE: (
        "the Engine does not trust the registry's TLS",
        "See the Engine's `insecure-registries` and certificates.",
    ),
    PullReason.NETWORK: (
        "the registry was not reached, or the connection broke. Try again later",
        "Is it up, and reached from the Engine's machine?",
    ),
}
"""By the pull's reason: why, and what an administrator can do."""


class PullPolicy(StrEnum):
    """When an image is pulled; the values are those of the option `pull_policy`."""

    ALWAYS = "always"
    IF_NOT_PRESENT = "ifnotpresent"
    NEVER = "never"
    SKIP = "skip"
    """As NEVER, and it is not looked for either."""


OnProgress = Callable[[str, float], None]
"""Is called with a text and with how much is done, as a part of 1."""
FindCredentials = Callable[[str], Awaitable[Credentials | None]]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Key:
    """What makes two pulls the same."""

    meant: str
    anew: bool
    credentials: str


@dataclass(slots=True, eq=False)
class _Shared:
    """One pull, and those who wait for it."""

    task: asyncio.Task[None] = field(init=False)
    waiters: list[OnProgress] = field(default_factory=list)
    progress: PullProgress = field(default_factory=PullProgress)
    note: str = ""
    reported: float = 0.0
    ending: asyncio.TimerHandle | None = None

    def report(self, *, now: bool = False) -> None:
        """Report how far the pull is to all who wait, at most every REPORT_SECONDS unless `now`."""
        if self.text and (now or time.monotonic() - self.reported >= REPORT_SECONDS):
            self.reported = time.monotonic()
            for on_progress in self.waiters:
                on_progress(self.text, self.progress.fraction)

    @property
    def text(self) -> str:
        return ", ".join(part for part in (self.progress.text, self.note) if part)


def _ignore(text: str, fraction: float) -> None:
    """Ignore progress."""


async def _no_credentials(registry: str) -> Credentials | None:
    """Return no credentials."""
    return None


class Pulls:
    """Ensures images, with one pull for all spawns that wait for it, and remembers which are there.

    What is remembered for a while saves the usual spawn a request; `forget` corrects it when the Engine
    knows better.
    """

    def __init__(self, images: Images) -> None:
        self._images = images
        self._present: dict[str, float] = {}
        self._shared: dict[_Key, _Shared] = {}
        self._pulled: dict[_Key, float] = {}
        self._inspections: dict[str, asyncio.Task[JsonObject | None]] = {}
        self._put_off: dict[str, float] = {}

    async def ensure(
        self,
        image: str,
        policy: PullPolicy,
        *,
        credentials: FindCredentials = _no_credentials,
        timeout: float | None = None,
        on_progress: OnProgress = _ignore,
    ) -> None:
        """Bring `image` to the Engine's machine as `policy` says.

        `credentials` finds those for a registry, when there is something to pull. `on_progress` is
        called with how far the pull is. Raises BadReference, and ImageUnavailable when the image is not
        there afterwards, or not within `timeout` seconds. Cancelled, it leaves the pull to the others who
        wait for it; some time after the last one has left it is ended.
        """
        if policy is PullPolicy.SKIP:
            return
        reference = None if references.is_image_id(image) else references.parse(image)
        if policy is not PullPolicy.ALWAYS and await self._is_there(image):
            return
        if policy is PullPolicy.NEVER:
            raise errors.ImageUnavailable(
                f"The image {image} is not on the Engine's machine, and is not pulled.",
                advice="`pull_policy` is 'never': pull it there, or choose 'ifnotpresent'.",
            )
        try:
            async with asyncio.timeout(timeout):
                found = await credentials(reference.host) if reference else None
                meant = reference.canonical if reference else image
                key = _Key(meant, policy is PullPolicy.ALWAYS, found.key if found else "")
                await self._join(image, key, found, on_progress)
        except TimeoutError as exc:
            raise errors.ImageUnavailable(
                f"The image {image} was not pulled within {timeout:.0f} s. Try again later: what has been "
                "downloaded is kept.",
                advice="`pull_timeout` says how long a user waits for it.",
            ) from exc

    def forget(self, image: str) -> None:
        """Forget that `image` is on the Engine's machine."""
        self._present.pop(image, None)

    def put_off(self, image: str) -> None:
        """Remember that `image` could not be had, for who asks only in case it is needed."""
        now = time.monotonic()
        self._put_off = {each: end for each, end in self._put_off.items() if end > now}
        self._put_off[image] = now + PUT_OFF_SECONDS

    def is_put_off(self, image: str) -> bool:
        """Tell whether `image` could not be had a short time ago."""
        return self._put_off.get(image, 0.0) > time.monotonic()

    async def document(self, image: str) -> JsonObject:
        """Return the image's document. Raises ImageUnavailable where there is none."""
        found = await self._images.inspect(image)
        if found is None:
            self.forget(image)
            raise errors.ImageUnavailable(f"The image {image} is not on the Engine's machine.")
        return found

    async def aclose(self) -> None:
        """End every pull."""
        shared = list(self._shared.values())
        self._shared.clear()
        for each in shared:
            if each.ending is not None:
                each.ending.cancel()
        tasks = [*self._inspections.values(), *(each.task for each in shared)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _is_there(self, image: str) -> bool:
        """Tell whether the image is on the Engine's machine; many who ask at a time ask once."""
        if self._is_known(image):
            return True
        look = self._inspections.get(image)
        if look is None:
            look = self._inspections[image] = asyncio.create_task(self._images.inspect(image))
            look.add_done_callback(lambda task: self._inspected(image, task))
        found = await asyncio.shield(look) is not None
        if found:
            self._note_present(image)
        return found

    def _is_known(self, image: str) -> bool:
        """Tell whether the image was there a short time ago."""
        return time.monotonic() < self._present.get(image, -PRESENT_SECONDS) + PRESENT_SECONDS

    def _note_present(self, image: str) -> float:
        self._put_off.pop(image, None)
        now = time.monotonic()
        # Users may name images without an end.
        self._present = {each: then for each, then in self._present.items() if now - then < PRESENT_SECONDS}
        self._present[image] = now
        return now

    def _inspected(self, image: str, task: asyncio.Task[JsonObject | None]) -> None:
        self._inspections.pop(image, None)
        if not task.cancelled():
            # Where nobody waits for it any more, asyncio would log that its exception was never retrieved.
            task.exception()

    async def _join(
        self, image: str, key: _Key, credentials: Credentials | None, on_progress: OnProgress
    ) -> None:
        if key.anew and time.monotonic() - self._pulled.get(key, -FRESH_SECONDS) < FRESH_SECONDS:
            return
        shared = self._shared.get(key)
        # One that is being ended for want of waiters is none to wait for.
        if shared is None or shared.task.cancelling():
            shared = self._shared[key] = _Shared()
            fetching = self._fetch(image, key, shared, credentials)
            shared.task = asyncio.create_task(fetching, name=f"pull {image}")
            shared.task.add_done_callback(lambda task: self._finished(image, key, shared, task))
        if shared.ending is not None:
            shared.ending.cancel()
            shared.ending = None
        shared.waiters.append(on_progress)
        try:
            if shared.text:
                on_progress(shared.text, shared.progress.fraction)
            await asyncio.shield(shared.task)
        finally:
            shared.waiters.remove(on_progress)
            if not shared.waiters and not shared.task.done():
                shared.ending = asyncio.get_running_loop().call_later(GRACE_SECONDS, shared.task.cancel)

    def _finished(self, image: str, key: _Key, shared: _Shared, task: asyncio.Task[None]) -> None:
        if self._shared.get(key) is shared:
            del self._shared[key]
        if shared.ending is not None:
            shared.ending.cancel()
        if not task.cancelled() and (exc := task.exception()) is not None:
            _log.warning("The image %s could not be pulled: %s", image, exc.__cause__ or exc)

    async def _fetch(self, image: str, key: _Key, shared: _Shared, credentials: Credentials | None) -> None:
        self.forget(image)
        silence = asyncio.create_task(_report_silence(shared))
        try:
            await self._pull(image, shared, credentials)
        finally:
            silence.cancel()
        # A stream that breaks off can look like its end: only the Engine's own answer proves success.
        await self.document(image)
        now = self._note_present(image)
        # Older ones say nothing any more, and credentials that change would make them ever more.
        self._pulled = {old: then for old, then in self._pulled.items() if now - then < FRESH_SECONDS}
        self._pulled[key] = now

    async def _pull(self, image: str, shared: _Shared, credentials: Credentials | None) -> None:
        name, tag = references.split_reference(image)

        def take(line: JsonObject) -> None:
            shared.note = ""
            shared.progress.feed(line)
            shared.report()

        for pause in (*RETRY_PAUSES, None):
            try:
                await self._images.pull(
                    name, tag, auth=credentials.document() if credentials else None, on_line=take
                )
            except errors.PullError as exc:
                if pause is None or exc.reason is not PullReason.NETWORK:
                    raise _unavailable(image, exc) from exc
                _log.info("Pulling %s broke off and is tried again: %s", image, exc.message)
                shared.note = "the connection to the registry broke, trying again"
                shared.report(now=True)
                await asyncio.sleep(pause)
            else:
                return


async def _report_silence(shared: _Shared) -> None:
    while True:
        await asyncio.sleep(SILENCE_SECONDS)
        if time.monotonic() - shared.reported >= SILENCE_SECONDS:
            shared.note = "no news from the registry"
            shared.report(now=True)


def _unavailable(image: str, exc: errors.PullError) -> errors.ImageUnavailable:
    why, advice = _REASONS.get(exc.reason, ("the Engine could not get it", ""))
    return errors.ImageUnavailable(
        f"The image {image} could not be pulled: {why}.",
        advice=f"{advice} (The Engine says: {exc.message})".lstrip(),
    )
