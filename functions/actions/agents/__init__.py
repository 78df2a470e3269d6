"""What the task type `agent` is made of: a model's server, the talk with it, tools, answers and notes."""
