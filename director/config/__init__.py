"""The file: text to Config, or to faults with line, key and mend."""
