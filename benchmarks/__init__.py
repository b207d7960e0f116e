"""What jobferry costs and how fast it is, measured beside its alternatives: `make bench`."""
