"""Calendars: named lists of days that tasks exclude, kept in the store and copied into those tasks."""
