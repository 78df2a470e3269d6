"""The HTTP library of the program, imported in this one place so that it can be exchanged.

It is httpx's maintained line, published as `httpx2`: the same author, the same interface.
"""

import httpx2 as httpx

__all__ = ["httpx"]
