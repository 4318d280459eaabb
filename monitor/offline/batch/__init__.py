"""Many recordings at once: which they are, processes that work on them, results that are kept."""
