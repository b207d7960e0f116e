"""What routes there are, as data: nothing that answers one is imported here."""
