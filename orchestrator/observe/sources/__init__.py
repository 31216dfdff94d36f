"""What the kernel reports on request: socket tables, counters, owners, conntrack, ss and netstat."""
