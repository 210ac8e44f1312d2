"""Engines for boards: what is said where there are none."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from groundspeed.deploy.agents import wheels
from groundspeed.deploy.agents.native import has_native_agent
from groundspeed.deploy.devices.state import State
from groundspeed.errors import DeviceRefused

SAID = """\
ERROR: Could not find a version that satisfies the requirement numpy<3,>=1.26 (from versions: none)
ERROR: No matching distribution found for numpy<3,>=1.26
"""
