"""The Docker engine as a tool: reaching it, its errors as ours, streams of containers, a Debian to build on.

No runtime: the runtime docker, the image of the guest and measuring from a container all use it.
"""
