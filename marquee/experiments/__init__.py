"""Who sees which variant of an experiment: a file of experiments, and one pure function."""
