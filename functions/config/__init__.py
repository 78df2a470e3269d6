"""Configuration: environment variables and `.env`, read once and checked."""
