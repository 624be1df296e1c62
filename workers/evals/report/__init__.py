"""What a run of a set leaves behind: a JSON file for programs and a page for people."""
