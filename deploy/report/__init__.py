"""The report: one HTML page, or its short form on a terminal, from the same values."""
