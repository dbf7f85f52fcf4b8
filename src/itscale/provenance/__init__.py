"""Footers, fingerprints and the manifest: where every file comes from, and whether it is what it says."""
