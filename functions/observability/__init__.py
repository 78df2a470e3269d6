"""Logs, metrics, traces and the heartbeat of an outside monitor."""
