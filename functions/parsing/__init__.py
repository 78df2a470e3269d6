"""Parsing what strangers write, in processes that can be stopped.

`pool` starts them; `worker` and the readers (`feeds`, `markup`, `completions`, `replies`) run in them, and
import little.
"""
