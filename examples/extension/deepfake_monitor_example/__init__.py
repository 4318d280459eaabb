"""What the deepfake monitor loads from here: see the entry points in pyproject.toml."""
