"""Kubeflow steps: one thin wrapper a file, named by its verb."""
