"""What may be shown to whom: seen items, exclusions, maturity limits. Fails closed."""
