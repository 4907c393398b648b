"""What crosses between processes: framing and messages, both pure."""
