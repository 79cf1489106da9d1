"""What a client asks for: bodies read, checked, and made into a `Request`, alike in every dialect."""
