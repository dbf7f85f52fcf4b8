"""One function per stage of the workflow, called by its scripts and by tests."""
