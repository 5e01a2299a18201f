"""Makes pages out of result files: HTML (html.py) and the table of the README (markdown.py)."""
