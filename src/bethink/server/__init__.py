"""One server that stock clients use unchanged: dialects in `wire`, models on demand in `pool`, people in `accounts`."""
