"""The catalogue of what is exposed, and statements that the REST interface composes."""
