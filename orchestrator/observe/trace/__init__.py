"""What the kernel tells by itself: its trace events."""
