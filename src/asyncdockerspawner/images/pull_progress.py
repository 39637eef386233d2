"""How far a pull has come, by what the Engine says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DOWNLOAD_SHARE = 0.75
"""Of the work on a layer; the rest is unpacking."""
_MEGABYTE = 1_000_000


@dataclass(slots=True)
class _Layer:
    current: int = 0
    total: int = 0
    unpacked: float = 0.0
    """Of 1."""
    downloaded: bool = False
    done: bool = False

    def share(self) -> float:
        if self.done:
            return 1.0
        of_download = 1.0 if self.downloaded else min(self.current / self.total, 1.0) if self.total else 0.0
        return DOWNLOAD_SHARE * of_download + (1 - DOWNLOAD_SHARE) * self.unpacked


class PullProgress:
    """How far a pull has come, from the lines of `POST /images/create`; nothing in it ever goes back.

    Takes the lines of both image stores: the older one counts the bytes it has unpacked, containerd's the
    seconds. Lines it does not know, it passes over.
    """

    def __init__(self) -> None:
        self._layers: dict[str, _Layer] = {}
        self._retrying = ""
        self.fraction = 0.0
        """Of 1."""
        self.megabytes = self.of_megabytes = 0
        """Downloaded, and of how many as far as that is known."""

    def feed(self, line: Mapping[str, Any]) -> None:
        """Read a line."""
        name, word = line.get("id"), line.get("status")
        if not isinstance(name, str) or not isinstance(word, str):
            return
        self._retrying = word if word.startswith("Retrying") else ""
        if name in self._layers or word in _LAYER_WORDS:
            _take(self._layers.setdefault(name, _Layer()), word, line.get("progressDetail"))
            self._add_up()

    @property
    def text(self) -> str:
        """How far it is, in a few words; empty before anything is known of a layer."""
        if not self._layers:
            return ""
        done = sum(layer.done for layer in self._layers.values())
        parts = [f"{done} of {len(self._layers)} layer{'s' if len(self._layers) > 1 else ''}"]
        if self.of_megabytes:
            parts.insert(0, f"{self.megabytes} of {self.of_megabytes} MB")
        if self._retrying:
            parts.append(self._retrying.lower())
        elif done < len(self._layers) and all(layer.downloaded for layer in self._layers.values()):
            parts.append("unpacking")
        return ", ".join(parts)

    def _add_up(self) -> None:
        layers = self._layers.values()
        known = [layer.total for layer in layers if layer.total]
        usual = sum(known) / len(known) if known else 1.0
        weights = [layer.total or usual for layer in layers]
        shares = [layer.share() for layer in layers]
        found = sum(weight * share for weight, share in zip(weights, shares, strict=True)) / sum(weights)
        self.fraction = max(self.fraction, min(found, 1.0))
        self.megabytes = max(self.megabytes, sum(layer.current for layer in layers) // _MEGABYTE)
        self.of_megabytes = max(self.of_megabytes, self.megabytes, sum(known) // _MEGABYTE)


_LAYER_WORDS = {
    "Pulling fs layer", "Downloading", "Download complete", "Extracting", "Pull complete", "Already exists"
}  # fmt: skip


def _take(layer: _Layer, word: str, detail: object) -> None:
    current, total, by_bytes = _numbers(detail)
    if word == "Downloading":
        layer.total = max(layer.total, total)
        layer.current = max(layer.current, min(current, total) if total else current)
    elif word in {"Download complete", "Verifying Checksum", "Extracting"}:
        layer.downloaded = True
        layer.current = max(layer.current, layer.total)
        if word == "Extracting" and by_bytes and total:
            layer.unpacked = max(layer.unpacked, min(current / total, 1.0))
    elif word in {"Pull complete", "Already exists"}:
        layer.downloaded = layer.done = True
        layer.current = max(layer.current, layer.total)


def _numbers(detail: object) -> tuple[int, int, bool]:
    """Return current, total, and whether these are bytes."""
    if not isinstance(detail, Mapping):
        return 0, 0, False
    numbers = [detail.get("current"), detail.get("total")]
    current, total = (each if isinstance(each, int) and each > 0 else 0 for each in numbers)
    return current, total, detail.get("units") in {None, "", "B"}
