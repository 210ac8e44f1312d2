"""Whether a candidate is slower than its baseline: launches in pairs, and verdicts that hold."""
