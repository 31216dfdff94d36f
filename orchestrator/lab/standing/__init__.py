"""Labs that outlive the command: `simctl up`, `ps`, `ss`, `exec`, `down`."""
