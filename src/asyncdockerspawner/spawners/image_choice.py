"""The choice of an image: its form, and what is made of it on all its ways: form, address, REST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tornado import web
from traitlets import default

from asyncdockerspawner import errors, lifecycle
from asyncdockerspawner.hub import errors as hub_errors
from asyncdockerspawner.hub import site_code
from asyncdockerspawner.images import options_form
from asyncdockerspawner.spawners.overrides import Seams

OPTION = "image"


class ImageChoice(Seams):
    """What the Hub asks about the options of users; the answers are DockerSpawner's, checked."""

    orm_spawner: Any
    user_options: dict[str, Any]
    pre_spawn_hook: Any
    _log_name: str

    def _default_options_form(self) -> str:
        """DockerSpawner's name for it: the form for `allowed_images` as it reads now."""
        return options_form.render(
            self._get_allowed_images(), image=self.image, previous=self.user_options.get(OPTION)
        )

    async def get_options_form(self) -> Any:
        """Give the form, by whatever makes it. Raises the Hub's errors."""
        with hub_errors.for_the_hub(self.log, self._log_name), site_code.of_option("options_form"):
            return await super().get_options_form()  # type: ignore[misc]

    @default("options_form")
    def _options_form_of_each_visit(self) -> Any:
        return form_of_this_visit

    @default("options_from_form")
    def _default_options_from_form(self) -> Any:
        return options_from_form

    @default("apply_user_options")
    def _apply_user_options_by_default(self) -> Any:
        return apply_user_options

    @property
    def decides_late(self) -> bool:
        """Whether image, choice and Engine may become others in a `start` or what it calls."""
        return self.overrides("start", "client", "pull_image")

    async def apply_choice(self, *, final: bool = True) -> None:
        """Have this spawn's values, and take the image that the user chose, if that is allowed.

        Not `final`, a refusal may still be taken back by what a subclass's `start` sets. Raises as
        `take_image`; what has been asked in this spawn is asked again only where the answer may be another.
        """
        await self.resolve_spawn_values()
        wanted = self.user_options.get(OPTION)
        before = self.spawn.choice if self.spawn else None
        if before and not self.decides_late and (before.wanted, before.image) == (wanted, self.image):
            if before.error is not None:
                raise before.error
            return
        error: Exception | None = None
        try:
            await self.take_image(self.user_options, final=final)
        except Exception as exc:
            # Else what `check_allowed` has raised is no answer, and waits for the start.
            error = None if is_refusal(exc) or not self.overrides("check_allowed") else exc
            raise
        finally:
            if self.spawn is not None:
                self.spawn.choice = lifecycle.Choice(wanted, self.image, error)

    async def take_image(self, user_options: Mapping[str, Any], *, final: bool = True) -> None:
        """Take the image that these options name. Raises ImageNotAllowed, or what `check_allowed` raises."""
        wanted = user_options.get(OPTION)
        if not wanted:
            return
        try:
            self.image = await lifecycle.resolved(self.check_allowed(wanted))
        except Exception as exc:
            if final and is_refusal(exc):
                self._forget_choice()
            raise

    def _forget_choice(self) -> None:
        # The Hub repeats the last options where none are given, so a refused one would refuse for ever.
        kept = {key: value for key, value in self.user_options.items() if key != OPTION}
        if self.orm_spawner is not None:
            self.orm_spawner.user_options = kept


def is_refusal(exc: Exception) -> bool:
    """Tell whether this is said to the user, and not a failure."""
    if isinstance(exc, errors.SpawnRefused):
        return exc.status < 500
    return isinstance(exc, web.HTTPError) and exc.status_code < 500


async def form_of_this_visit(spawner: ImageChoice) -> str:
    """Give the form as it is now: images that were taken off the list since the last visit are not in it."""
    spawner.forget_spawn_values("allowed_images")
    await spawner.resolve_spawn_values("allowed_images")
    return str(await lifecycle.resolved(spawner._default_options_form()))


def options_from_form(formdata: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Give what a request to the REST API would have: the image's name, where the form has one.

    The Hub gives a list for each field. Raises its error, which its page shows, for one that came twice.
    """
    given = formdata.get(OPTION)
    if not given:
        return {}
    if len(given) > 1:
        many = f"The image was chosen {len(given)} times: choose one."
        raise hub_errors.as_hub_error(errors.ImageNotAllowed(many))
    return {OPTION: given[0]}


async def apply_user_options(spawner: ImageChoice, user_options: Mapping[str, Any]) -> None:
    """Take the chosen image before anything is done for the spawn. Raises the Hub's errors.

    What is allowed may still be changed by a site's `pre_spawn_hook`, so with one the choice waits for
    `prepare`; by a subclass's `start`, so it waits for that.
    """
    if spawner.pre_spawn_hook or spawner.decides_late:
        return
    with hub_errors.for_the_hub(spawner.log, spawner._log_name):
        try:
            # The other options may need what a subclass does later.
            await spawner.resolve_spawn_values("allowed_images")
            await spawner.take_image(user_options)
        except Exception as exc:
            # The Hub would take it for the user's fault; `prepare` asks again.
            if is_refusal(exc) or not spawner.overrides("check_allowed"):
                raise
