"""What passes between us and the Engine: decoded JSON.

The Engine's documents are large and version-dependent, so they stay plain dictionaries and are read where
they are needed (`status`, `endpoint`), never mirrored in classes.
"""

from __future__ import annotations

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
