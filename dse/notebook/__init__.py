"""The command line's questions as functions of Python, with answers that notebooks show."""
