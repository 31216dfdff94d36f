"""Faults of the network between nodes, one file each."""
