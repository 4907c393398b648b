"""The engine: the process that owns the file, the IPVS table and all decisions."""
