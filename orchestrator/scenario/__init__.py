"""The scenario language: what a scenario file says, how it is read, checked and documented."""
