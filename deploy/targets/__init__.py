"""Where the agent runs: one file for each way of reaching a machine."""
