"""From a spawn's values to the Engine's JSON, without I/O."""
