"""simctl: a laboratory for the life of HTTP and TCP connections.

Data flows one way. A scenario and a topology go in; a runtime and the fabric bring nodes up; `drive` runs the steps
while `observe` records; the recording is a folder on disk; `judge` holds it against the expectations; `report`
prints. Each stage can be used alone.
"""

__version__ = "0.1.0"
