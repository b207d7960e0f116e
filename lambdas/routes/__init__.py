"""The routes of the HTTP API: one module per resource; `table.ROUTES` is all of them."""
