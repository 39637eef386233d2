"""The accounts of the system's users: who they are, as the name service says, and where their homes are."""
