"""Several runs held against each other: a matrix, the seeds, two runs of one input."""
