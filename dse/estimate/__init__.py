"""Where work meets resources: one operating point in seconds, joules, watts and money."""
