"""What an administrator does with a puller: install, examine, look at, clean up."""
