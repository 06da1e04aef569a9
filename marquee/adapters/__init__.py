"""The doors to the platform: one file or folder for each outside system, imported where it is used."""
