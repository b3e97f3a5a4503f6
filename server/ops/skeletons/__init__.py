"""Small complete games that `playhall new-ruleset` copies, under another name."""
