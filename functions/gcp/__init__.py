"""Google Cloud services, all optional: Cloud Tasks hands work to workers, Pub/Sub publishes events."""
