"""Makes nodes do what the steps of a scenario say: the channel to a node, and one function per verb."""
