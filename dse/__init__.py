"""Which chip, run by which software, decodes large language models best."""

__version__ = "0.1.0"
