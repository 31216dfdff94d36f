"""One run of one scenario, and several of them."""
