"""The probe, the process that wires and watches the nodes, with one source of observations per file."""
