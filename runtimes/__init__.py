"""Open an artifact on this machine, run it, time it, profile it.

This room travels to devices: it imports numpy, the leaves of ``groundspeed`` and the engine that
is asked for, and nothing else of ours.
"""
