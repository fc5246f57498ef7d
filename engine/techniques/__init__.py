"""One file per technique; each opens with what it is and what would fool you."""
