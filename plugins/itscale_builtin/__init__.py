"""Every built-in ingredient: one folder a kind, one module a method."""
