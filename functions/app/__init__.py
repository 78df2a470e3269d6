"""The composition root: builds the real parts from the settings, once and lazily."""
