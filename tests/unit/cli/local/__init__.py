"""What the command line keeps on this machine."""
