"""Builds the puller as one file that runs with a site's Python and nothing installed."""
