"""Second stage: a learned ranker over the candidates, its training set and its tuning."""
