"""Measures an HTTP/1.1 server from outside: when it closes what is idle, and how."""
