"""Tests judge a program from another process: `bench` runs the tests, `candidate` runs the program, each in a sandbox
of its own, and only plain values travel between them (`values`). So nothing that a program does to its own
interpreter can change what the tests see, except the values that it returns."""
