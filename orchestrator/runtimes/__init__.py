"""Where nodes live: a folder for each runtime, a line for each in registry.py. docs/dev/runtimes.md adds one."""
