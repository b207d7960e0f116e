"""The puller: one pass at a time, started by cron on the site, outbound HTTPS only."""

__version__ = "0.1.0"
