"""Files that people ask about: read to text, with what was left out said in words."""
