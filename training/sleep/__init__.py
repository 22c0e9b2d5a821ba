"""Sleep staging: recordings, hypnograms, a synthetic polysomnogram and the networks that read them."""
