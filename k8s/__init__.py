"""Manifests, and the checks that they pass before they reach a cluster."""
