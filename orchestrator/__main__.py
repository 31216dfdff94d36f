"""`python -m orchestrator` is `simctl`."""

from orchestrator.cli.main import main

main()
