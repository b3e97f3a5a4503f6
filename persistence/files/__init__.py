"""Files as they are recorded; the bytes are in the object store."""
