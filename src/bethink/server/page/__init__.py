"""What the chat page needs beside answers: its conversations, and models fetched in the background."""
