"""Files: parquet with checked columns, LaTeX, and one run at a time in a folder."""
