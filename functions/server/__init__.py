"""The server: functions-framework's application on uvicorn, with bounds on idle connections."""
