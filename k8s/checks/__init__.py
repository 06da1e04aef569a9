"""What an API server, the admission webhooks and the house rules would say of the manifests."""
