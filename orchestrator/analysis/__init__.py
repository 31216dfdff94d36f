"""What a recording means beyond single verdicts: exchanges, connection summaries, ladders, runs side by side. Pure."""
