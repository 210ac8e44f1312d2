"""Everything around: the command line, the pipeline, the store, and reports."""
