"""What the command line keeps on this machine: where stores and secrets are, and which services run."""
