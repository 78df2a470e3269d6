"""The decisions of a scheduler, true on paper: no network, no clock, no dice in here."""
