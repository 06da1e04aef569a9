"""Arithmetic on state: pure, vectorised functions that offline and online calls share."""
