"""The nouns: frozen, comparable, validated when built."""
