"""A run inside a virtual machine."""
