"""Sampling: the session that a strategy sees, its ledger, journal, blocks and progress."""
