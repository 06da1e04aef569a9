from hypothesis import settings

# A busy machine is not a failing test: Hypothesis times each example unless told otherwise.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
