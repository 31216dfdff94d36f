"""The room where words are made: values of a verdict as an engineer says them. Nothing reads these words back."""
