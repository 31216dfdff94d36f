"""What TCP itself says: states, their order, addresses."""
