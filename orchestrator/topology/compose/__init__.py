"""The Compose file format."""
