"""How far a run is: a bar where somebody watches, lines where nobody does."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class Bars:
    """A bar for each case, on the error output."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description:28}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
            # The bar is drawn at each step: a thread that draws it would be measured with the rest.
            auto_refresh=False,
        )
        self._task: TaskID | None = None
        self._title = ""

    def begin(self, title: str, steps: int) -> None:
        """A case begins, of so many steps; said again, with another number of them."""
        if title != self._title or self._task is None:
            self._title, self._task = title, self._progress.add_task(title, total=steps)
        else:
            self._progress.update(self._task, total=steps, completed=0)
        self._progress.refresh()

    def step(self, text: str = "") -> None:
        """One of them is done."""
        if self._task is not None:
            self._progress.update(self._task, advance=1)
            self._progress.refresh()
        if text and not self._console.is_terminal:
            self.say(text)

    def say(self, text: str) -> None:
        """Tell a line above the bars."""
        self._console.print(text, markup=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
