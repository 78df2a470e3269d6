"""HTTP: the routes that trigger the scheduler, the API under `/api`, and the dashboard."""
