"""Questions about one operating point: what if, which knob pays, what is a limit worth."""
