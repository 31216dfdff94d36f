"""Node kinds: what their folders say, their versions, what is prepared once."""
