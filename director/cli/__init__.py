"""The command line: one file a family of verbs; each imports what it needs when it runs."""
