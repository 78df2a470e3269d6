"""Single faults at a known place, played on purpose."""
