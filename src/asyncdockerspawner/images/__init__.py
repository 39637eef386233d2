"""Images: which may be chosen, and how they come to the Engine's machine."""
