"""Imported outcomes: how other people's results are found, reached and described."""
