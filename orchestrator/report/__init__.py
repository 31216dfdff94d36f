"""What a user sees of a run: for the terminal (text), for programs (json) and for CI servers (junit)."""
