"""The run as one ordered history: its folder, its event lines, its sockets, and connections with both ends joined."""
