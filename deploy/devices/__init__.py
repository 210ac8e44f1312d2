"""What a device is, how it is doing, and what it is called."""
