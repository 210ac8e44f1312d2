"""Mixed precision by measurement: integers only in the layers where the target shows they pay."""
