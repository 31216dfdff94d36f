"""What the kernel tells when it is asked: socket tables, counters, owners, conntrack, ss and netstat."""
