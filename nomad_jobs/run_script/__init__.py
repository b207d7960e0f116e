"""A Nomad job specification as a run script, settings and input files for a site."""
