"""Games as they are read and claimed, and the directory of those that run."""
