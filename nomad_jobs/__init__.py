"""Nomad's jobs, pure: job files read and checked, and rendered as run scripts for a site."""
