"""Curves from the completions of many problems: exact where a formula exists, with intervals over problems."""
