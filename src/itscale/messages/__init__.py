"""Texts that users read: mistakes, numbers and names, in one line, printable and without secrets."""
