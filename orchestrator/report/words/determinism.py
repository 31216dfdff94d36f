"""Words for why two recordings in virtual time may differ."""

from __future__ import annotations

from orchestrator.analysis.compare.determinism import Cause

CAUSES = {
    Cause.INSTRUCTIONS: (
        "the same happened at another time: the guests had not executed the same instructions before. One had more to "
        "do: a larger file, more random tries"
    ),
    Cause.RANDOM: (
        "other ports: the guests had other random numbers. Was one run with --seed, or did a node's program begin with "
        "entropy of its own?"
    ),
    Cause.NUMBERING: "another number of processes, files or sockets was made before",
    Cause.PROGRAM: "a program said something else: does it look at anything that the scenario does not give it?",
    Cause.ORDER: (
        "another event came here: two things that happen at nearly the same time changed places, or one is missing"
    ),
    Cause.ENDED: "one recording ends here: that run was cut short, or did less",
    Cause.SNAPSHOT: (
        "the runs did not begin with the same snapshot: simctl's code, its image or QEMU changed in between"
    ),
}
