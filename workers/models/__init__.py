"""Which models there are: profiles of the Phi family, the shelf of local folders, pulling."""
