"""Where results and measured files are kept."""
