"""How simctl starts a module of its own as a process."""

import sys

OWN_PYTHON = (sys.executable, "-P", "-m")
"""Begins the command line; the module's name follows. Without `-P` the current folder would come first on the module
path, and whoever can write a folder `orchestrator` there would have his code run, as root where simctl is root."""
