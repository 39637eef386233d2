"""The options of the spawners, as groups of traits; their help texts are the manual."""
