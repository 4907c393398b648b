"""The process that starts foreign programs: hooks, and whatever else the file names."""
