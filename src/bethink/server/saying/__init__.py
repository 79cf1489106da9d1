"""What a run is told as, before a dialect puts it into its words."""
