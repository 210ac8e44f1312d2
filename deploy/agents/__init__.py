"""What is sent to a device so that it can measure there."""
