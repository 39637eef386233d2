"""Thousands of spawns and stops in one process: whether anything is left of them, and whether any fails."""
