"""Judges a history against expectations. Pure: no clock, no input, no output."""
