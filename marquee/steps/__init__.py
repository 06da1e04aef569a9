"""A training run in steps that hand folders to one another: what an orchestrator's tasks call.

Each step reads the folders of those before it, does one thing, and writes a folder of its own, whole or
not at all. `marquee.run` does the same in one process; equal data, configuration and seed give an equal
bundle either way.
"""
