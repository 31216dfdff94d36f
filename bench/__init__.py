"""Benchmarks: simctl against a peer, in the same run, as ratios. `make bench`, or
`python -m bench [--smallest] NAME ...`.

Machines are noisy and shared, so single seconds say little: both sides run in turn, several times, and the median of
the pairs' ratios is what counts.
"""
