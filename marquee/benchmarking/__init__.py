"""Every route, their union and the two stages side by side, on splits of others and of one's own.

A split that comes without time has no "before and after" to learn a ranker from. Training questions
then come from hold-outs within the training part (`holdouts`): a share of each user's events is
hidden, the first stage is fitted on the others (`stage`), its knobs are chosen (`route_search`), the
ranker learns to bring the hidden ones to the top (`learn`), and the first stage is fitted again on
all. `measure` asks all models about the test part; nothing before it sees a test event.
"""
