"""The runtime vm, as far as it is chosen, checked and explained. Its guest is orchestrator/vm, its runs run/virtual."""
