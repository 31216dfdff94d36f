"""From a recording's lines to the history that judge and reports read. Pure."""
