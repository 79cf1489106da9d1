"""Open reasoning models on hardware people own: thinking that ends, answers with evidence."""
