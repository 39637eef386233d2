"""A set that does not grow for ever."""

from __future__ import annotations


class Recent:
    """Texts that were added last; one that was forgotten is only told, or asked for, once more.

    For what users, images or the Engine name: there is no end to the names that they may give.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._texts: dict[str, None] = {}

    def add(self, text: str) -> None:
        """Take a text in, and the oldest out where there are too many."""
        self._texts.pop(text, None)
        self._texts[text] = None
        if len(self._texts) > self._most:
            del self._texts[next(iter(self._texts))]

    def discard(self, text: str) -> None:
        """Forget a text."""
        self._texts.pop(text, None)

    def __contains__(self, text: str) -> bool:
        return text in self._texts

    def __len__(self) -> int:
        return len(self._texts)
