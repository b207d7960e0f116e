"""Schedulers: one file each, with pure rendering and parsing, and one runner for all."""
