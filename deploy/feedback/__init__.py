"""Which op patterns cost the real time: what was seen, what it costs, and how that was proved."""
