"""The proof of the loop: a data set's real weeks walked through by train, serve, log, monitor, retrain.

Nothing is imported here, so that a command line may read the names of shocks and policies alone.
"""
