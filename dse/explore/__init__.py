"""The what-if page: sliders and curves in a browser on this machine.

The page asks in the words of the command line and answers with the same functions; what it asks
is the query of its address.
"""
