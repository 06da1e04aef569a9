"""First stage: routes that each propose items from a user's history at request time."""
