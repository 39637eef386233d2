"""What a setting of the spawner or the Engine brings, against the usual one in the same round."""
