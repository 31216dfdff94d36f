"""A lab: the nodes of one topology, up, used and taken down."""
