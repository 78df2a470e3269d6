"""What a run is made of: processes, pingers, stores, people, tasks and the server that they call."""
