"""Standing labs: a topology that is up without a scenario, held by a keeper process until `simctl down`."""
