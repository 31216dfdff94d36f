"""Where nodes live. Every runtime fulfils one small protocol, base.Runtime; select chooses."""
