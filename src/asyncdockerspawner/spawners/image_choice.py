"""The choice of an image: its form, and what is made of it on all its ways: form, address, REST."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tornado import web

from asyncdockerspawner import errors, lifecycle
from asyncdockerspawner.hub import errors as hub_errors
from asyncdockerspawner.images import options_form
from asyncdockerspawner.spawners.launch_inputs import is_overridden
from asyncdockerspawner.spawners.policy import decides_late

if TYPE_CHECKING:
    from asyncdockerspawner.spawners.overrides import Overridable

OPTION = "image"


async def choose(spawner: Overridable, *, final: bool) -> None:
    """Have this spawn's values, and take the image that the user chose, if that is allowed.

    Not `final`, a refusal may still be taken back by what a subclass's `start` sets. Raises as `take_image`;
    what has been asked in this spawn is asked again only where the answer may be another.
    """
    await spawner._learn()
    wanted, spawn = spawner.user_options.get(OPTION), spawner._user_server.spawn
    before = spawn.choice if spawn else None
    if before and not decides_late(spawner) and (before.wanted, before.image) == (wanted, spawner.image):
        if before.error is not None:
            raise before.error
        return
    error: Exception | None = None
    try:
        await take_image(spawner, spawner.user_options, final=final)
    except Exception as exc:
        # Else what `check_allowed` has raised is no answer, and waits for the start.
        error = None if is_refusal(exc) or not is_overridden(spawner, "check_allowed") else exc
        raise
    finally:
        if spawn is not None:
            spawn.choice = lifecycle.Choice(wanted, spawner.image, error)


async def take_image(spawner: Overridable, user_options: Mapping[str, Any], *, final: bool = True) -> None:
    """Take the image that these options name. Raises ImageNotAllowed, or what `check_allowed` raises."""
    wanted = user_options.get(OPTION)
    if not wanted:
        return
    try:
        spawner.image = await lifecycle.resolved(spawner.check_allowed(wanted))
    except Exception as exc:
        if final and is_refusal(exc):
            _forget_choice(spawner)
        raise


def _forget_choice(spawner: Overridable) -> None:
    # The Hub repeats the last options where none are given, so a refused one would refuse for ever.
    kept = {key: value for key, value in spawner.user_options.items() if key != OPTION}
    if spawner.orm_spawner is not None:
        spawner.orm_spawner.user_options = kept


def is_refusal(exc: Exception) -> bool:
    """Tell whether this is said to the user, and not a failure."""
    if isinstance(exc, errors.SpawnRefused):
        return exc.status < 500
    return isinstance(exc, web.HTTPError) and exc.status_code < 500


def form(spawner: Overridable) -> str:
    """Return the form for `allowed_images` as it reads now."""
    return options_form.render(
        spawner._get_allowed_images(), image=spawner.image, previous=spawner.user_options.get(OPTION)
    )


async def form_of_this_visit(spawner: Overridable) -> str:
    """Return the form as it is now: without images that were taken off the list since the last visit."""
    spawner._spawn_values.forget("allowed_images")
    await spawner._spawn_values.resolve("allowed_images")
    return str(await lifecycle.resolved(spawner._default_options_form()))


def options_from_form(formdata: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """Return what a request to the REST API would have: the image's name, where the form has one.

    The Hub gives a list for each field. Raises its error, which its page shows, for one that came twice.
    """
    given = formdata.get(OPTION)
    if not given:
        return {}
    if len(given) > 1:
        many = f"The image was chosen {len(given)} times: choose one."
        raise hub_errors.as_hub_error(errors.ImageNotAllowed(many))
    return {OPTION: given[0]}


async def apply_user_options(spawner: Overridable, user_options: Mapping[str, Any]) -> None:
    """Take the chosen image before anything is done for the spawn. Raises the Hub's errors.

    What is allowed may still be changed by a site's `pre_spawn_hook`, so with one the choice waits for
    `prepare`; by a subclass's `start`, so it waits for that.
    """
    if spawner.pre_spawn_hook or decides_late(spawner):
        return
    with hub_errors.for_the_hub(spawner.log, spawner._log_name):
        try:
            # The other options may need what a subclass does later.
            await spawner._spawn_values.resolve("allowed_images")
            await take_image(spawner, user_options)
        except Exception as exc:
            # The Hub would take it for the user's fault; `prepare` asks again.
            if is_refusal(exc) or not is_overridden(spawner, "check_allowed"):
                raise
