"""What runs in the guest: its init (init.sh), and the agent that takes an order and carries it out."""
