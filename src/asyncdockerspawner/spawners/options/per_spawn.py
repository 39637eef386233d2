"""Traits that may be functions of the spawner, `def` or `async def`, called once for each spawn."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable as Function
from typing import Any, NoReturn

from traitlets import Callable, HasTraits, TraitError, TraitType, Union

from asyncdockerspawner.errors import BadOption
from asyncdockerspawner.hub.site_code import of_option


class FunctionOr(Union):
    """Either a value of the given trait, or a function that gives one; read, it is what was set."""

    def __init__(self, of: TraitType[Any, Any], default_value: Any, **kwargs: Any) -> None:
        self.of = of
        super().__init__([Callable(), of], default_value=default_value, **kwargs)

    def default(self, obj: Any = None) -> Any:
        """Return each spawner a default of its own: hooks change dictionaries in place."""
        return copy.deepcopy(super().default(obj))


class SecretOr(FunctionOr):
    """A value that no error shows, or a function that gives one; who calls that keeps it to himself too."""

    def error(self, obj: Any, value: Any, error: Any = None, info: Any = None) -> NoReturn:
        """Name the option and the kind of what was given, not what it is."""
        raise TraitError(
            f"`{self.name}` has to be a dictionary or a function, not a value of the type "
            f"{type(value).__name__}."
        )


class PerSpawn(FunctionOr):
    """Either a value of the given trait, or a function that gives one.

    Read, it is always a value: this spawn's once it is known, else what the function gives now.
    """

    def get(self, obj: HasTraits, cls: type | None = None) -> Any:
        """Return the value. Raises BadOption where a function fails."""
        value = super().get(obj, cls)
        # While traitlets checks what a configuration has set, it writes back what it has read.
        if not callable(value) or not isinstance(obj, PerSpawnValues) or obj._cross_validation_lock:
            return value
        return obj._spawn_values.value(self, value)


class PerSpawnValues(HasTraits):
    """Options of which some may be functions."""

    def __init__(self, **kwargs: Any) -> None:
        self._spawn_values = SpawnValues(self)
        super().__init__(**kwargs)

    def _eval_if_callable(self, x: Any) -> Any:
        """Return what a function gives for this spawner, and anything else as it is."""
        return x(self) if callable(x) else x


class SpawnValues:
    """What the functions among the options of a spawner have given for this spawn."""

    def __init__(self, spawner: PerSpawnValues) -> None:
        self._spawner = spawner
        # By option: the function, so that another one that is set later counts, and what it gave.
        self._known: dict[str, tuple[Function[..., Any], Any]] = {}

    def forget(self, *names: str) -> None:
        """Have every function called anew, or those of these options."""
        for name in names or tuple(self._known):
            self._known.pop(name, None)

    async def resolve(self, *names: str) -> None:
        """Call every function, or those of these options, that was not called in this spawn yet.

        Raises BadOption where one fails.
        """
        spawner, values = self._spawner, self._spawner._trait_values
        for name in sorted(each for each in names or values if callable(values.get(each))):
            # Of the class, a trait is read as what it is.
            trait, function = getattr(type(spawner), name), values[name]
            if isinstance(trait, PerSpawn) and not self._is_known(name, function):
                value = self._call(name, function)
                if inspect.isawaitable(value):
                    with of_option(name):
                        value = await value
                self._keep(trait, function, value)

    def value(self, trait: PerSpawn, function: Function[..., Any]) -> Any:
        """Return this spawn's value; before an `async def` was awaited, the trait's default."""
        name = str(trait.name)
        if not self._is_known(name, function):
            value = self._call(name, function)
            if inspect.isawaitable(value):
                if inspect.iscoroutine(value):
                    value.close()
                return trait.default(self._spawner)
            self._keep(trait, function, value)
        return self._known[name][1]

    def _is_known(self, name: str, function: Function[..., Any]) -> bool:
        return name in self._known and self._known[name][0] is function

    def _call(self, name: str, function: Function[..., Any]) -> Any:
        with of_option(name):
            return self._spawner._eval_if_callable(function)

    def _keep(self, trait: PerSpawn, function: Function[..., Any], value: Any) -> None:
        name = str(trait.name)
        try:
            # A copy: a hook that changes it in place must not change another user's.
            validated = copy.deepcopy(trait.of._validate(self._spawner, value))
        except (TraitError, TypeError, ValueError) as exc:
            raise BadOption(f"`{name}`: the configured function gave {value!r}: {exc}") from exc
        self._known[name] = (function, validated)
