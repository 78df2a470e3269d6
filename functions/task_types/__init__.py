"""Task types, one module or package each, found by being here; `registry` runs a job of any of them."""
