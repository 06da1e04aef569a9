"""Why an item is in a list: what its score would lose without each part of the history."""
