"""The words of notices: sentences people read, before any channel's own markup."""
