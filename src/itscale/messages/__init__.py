"""What users read: mistakes, numbers and texts, in one line, printable and without secrets."""
