"""The runtime `vm`: a whole run inside one QEMU guest whose clock skips idle time.

    image      Debian userland, kernel, Python libraries: made once         recipe, userland, image
    snapshot   a guest that has booted and imported our code: seconds       bootfiles, snapshot
    run        the snapshot goes on with an order, and rings when done      emulator, exchange, run

All nodes are netns nodes inside that guest: there the same orchestrator with the same netns runtime runs the steps
(`inside/`). The order goes in once, the recording comes out once. While time runs nothing in the guest waits for this
machine, because waiting would be idle time, and idle time is skipped.
"""
