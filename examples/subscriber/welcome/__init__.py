"""Welcomes everybody whose account was verified: a subscriber to copy (see README.md)."""
