"""Quantization to 8-bit integers: calibration, the file writers, and what repairs a network."""
