"""The embedded default: an AWS emulator as a subprocess, the real stack deployed to it."""
