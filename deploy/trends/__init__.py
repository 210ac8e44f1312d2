"""What became of latencies over many runs: series, and the places where they changed."""
