"""Programs of sockets by seed, a model of what their runs prove that shares no code with simctl, and a comparison."""
