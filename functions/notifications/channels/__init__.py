"""One module per channel, registered by being here.

Each has `SETTINGS`, the names of its settings, and `create_channel(settings, post)`. Rendering a message and
classifying the vendor's response are pure functions; a channel imports no other channel.
"""
