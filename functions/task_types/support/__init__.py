"""What task types share: their tools, param types, limits of outcomes, secrets, responses and feeds."""
