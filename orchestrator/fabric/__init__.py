"""The wiring between nodes: addresses, names, and the links themselves."""
