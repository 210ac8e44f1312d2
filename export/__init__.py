"""From a network to files that are proven to compute the same."""
