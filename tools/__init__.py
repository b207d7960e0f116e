"""Programs that build what is handed out; no part of any package."""
