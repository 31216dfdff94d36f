"""Nodes as processes of this machine, each with namespaces of its own."""
