"""Ways in which a network spends time without need: a file each."""
