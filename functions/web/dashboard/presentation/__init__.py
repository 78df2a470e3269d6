"""How pages say things: times and states as text, charts, and the phrases of each language. Pure."""
