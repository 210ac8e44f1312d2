"""Observers: how the range of a tensor is chosen from the values that calibration shows."""
