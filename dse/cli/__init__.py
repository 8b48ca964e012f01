"""The command line: verbs over the library, one file each, imported when called."""
