"""The ladder of one connection: both ends on one timeline, as data."""
