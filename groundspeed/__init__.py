"""Groundspeed: how fast a network really is on its device, and which ops cost the time."""

__version__ = "0.1.0"
