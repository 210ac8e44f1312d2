"""Groundspeed: how fast a network really is on the device it ships to, and which ops cost the time."""

__version__ = "0.1.0"
