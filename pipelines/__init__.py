"""Kubeflow graphs: wiring only. What a step does is in `components` and, below it, in `marquee.steps`."""
