"""What every training on Ray Train needs, whatever it trains."""
