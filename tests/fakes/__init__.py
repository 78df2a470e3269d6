"""Stand-ins for vendors, on loopback, as strict as the vendors say they are."""
