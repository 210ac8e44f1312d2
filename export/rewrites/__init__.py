"""Exact changes of the graph, one file each; :mod:`catalog` is the table."""
