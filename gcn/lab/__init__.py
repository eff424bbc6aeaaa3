"""The lab: small games of the theory, trained by the losses, terms and update rules that train a codec."""
