"""The thin client layer: the only rooms that import aiodocker and aiohttp."""
