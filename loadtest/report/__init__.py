"""What a load test found, for people and for programs.

For: one `Report` of a run (`report`), as a table in the terminal (`table`), as JSON, and as
a page of its own with plots (`page`, `plots`).

Promises: says first whether the checks held; the page needs nothing from elsewhere.

Must not know: how anything was measured.
"""
