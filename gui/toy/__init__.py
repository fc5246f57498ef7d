"""Parts of the Superposition Explorer: how its plots stand, and what a result says to them."""
