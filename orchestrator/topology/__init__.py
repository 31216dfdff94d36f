"""From a Compose file to a topology: nodes, networks, and the kinds that nodes can be."""
