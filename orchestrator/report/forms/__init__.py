"""Forms of a report: one file each, named in registry.py."""
