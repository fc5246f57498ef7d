"""Parts of the panels that browse features: boards, a feature's page, labels, acts, words."""
