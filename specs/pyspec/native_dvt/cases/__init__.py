"""Cases: what a specification has to do with an input. Tests run them, and vectors are made of them."""
