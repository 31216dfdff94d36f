"""What the kernel reports by itself: its trace events."""
