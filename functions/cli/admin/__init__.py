"""The commands for administration: channels, events, API keys, owners, and the Feishu table as a store."""
