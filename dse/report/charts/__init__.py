"""One Plotly figure per file; each module's ``figure`` draws it from plain data.

The same function serves terminal exports, reports and pages, so a picture cannot say anything
else than the numbers do.
"""
