"""Time: the reactor with its timers, the clocks, the pace of new tries."""
