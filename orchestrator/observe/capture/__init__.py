"""Packets of a lab's networks, written as pcapng."""
