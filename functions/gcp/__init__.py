"""Beyond one instance: Cloud Tasks for work, Pub/Sub for events; all of it optional."""
