"""What passes between us and the Engine: decoded JSON.

The Engine's documents are large and version-dependent, so they are never mirrored in classes. What is told of
a server is read once, where it comes in (`workloads/container/read`); all else decides on what was read.
"""

from __future__ import annotations

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
