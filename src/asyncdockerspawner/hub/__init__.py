"""The Hub's side: its errors, its database, and what a user sees of a spawn."""
