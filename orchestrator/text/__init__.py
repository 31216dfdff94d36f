"""Text in and out: YAML with places, suggestions, safe output."""
