"""What came of an experiment: the logs of what was shown and done, judged, as a decision and a page.

Knows the exposure log of `marquee.monitoring`, the statistics of `marquee.experiments` and the pages of
`marquee.evaluation`, and so stands above them.
"""
