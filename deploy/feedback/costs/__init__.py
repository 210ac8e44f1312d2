"""What ops cost on one device: learned from networks that were profiled there."""
