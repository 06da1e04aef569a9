"""Where exposures go: files, Kafka or CloudEvents, behind a queue that never makes the server wait."""
