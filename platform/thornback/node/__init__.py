"""The local platform: starting and stopping Ray, the actors and the API, and looking at the machine.

`node.py` is what runs in the node's own process; `process.py` starts, watches and ends that process
from outside and needs no Ray, so that commands stay quick.
"""
