"""The measured Hubs, driven over REST, with a probe on their loops."""
