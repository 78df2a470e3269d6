"""The life of a task: pure transitions for a tick, an attempt's end, an event, a delivery, an edit."""
