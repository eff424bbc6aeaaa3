"""The lab: the small games of the theory, played by the losses, terms and update rules that train a codec."""
