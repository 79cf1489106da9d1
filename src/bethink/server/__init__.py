"""One server that stock clients use unchanged.

A request comes through the `door` (which page, which key), is read in `asking` by its dialect in `wire`, runs in
`running` and is told in `saying`. `accounts` counts it, `watching` shows it, `page` and `conversations` are the chat
page's, `routes` are all other paths, `app` says which is which, and `launch` starts it.
"""
