"""Parts of the toy SAE panel: the sphere, the detectors, how they stand, what a result says."""
