"""Refuse an unknown word with the known one that was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from asyncdockerspawner.errors import BadOption


def nearest(word: object, known: Iterable[str]) -> str | None:
    """Find the known word most like `word`, be it written in the other style; None where none is."""
    by_shape: dict[str, str] = {}
    # Where docker-py and the Engine share a word, answer in the style that was asked in.
    for each in sorted(known, key=lambda each: (each.islower() != str(word).islower(), each)):
        by_shape.setdefault(_shape(each), each)
    found = difflib.get_close_matches(_shape(str(word)), by_shape, n=1, cutoff=0.7)
    return by_shape[found[0]] if found else None


def unknown_word(option: str, word: object, known: Iterable[str]) -> BadOption:
    """Make the refusal of `word`, to be raised."""
    meant = nearest(word, known)
    hint = f"did you mean {meant!r}?" if meant else "neither docker-py nor the Engine has such a word here."
    return BadOption(f"{option} has the unknown key {word!r}; {hint}")


def _shape(word: str) -> str:
    # shm_size, shmSize and ShmSize are one wish.
    return word.replace("_", "").replace("-", "").lower()
