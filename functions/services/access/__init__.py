"""Who may do what: accounts, keys, credits, what owners see, and the trail of what was done."""
