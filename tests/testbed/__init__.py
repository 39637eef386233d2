"""Brings up the real parts: an Engine, images, the Hub's proxy, a browser, a Hub.

Everything comes from the machine's own package registries, is made once and reused. `python -m tests.testbed`
is the command; tests call the `ensure_*` functions, which return at once where nothing is to do.
"""
