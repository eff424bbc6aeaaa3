"""The registered plan of the margin study: the code that decides, and its error rates on simulated margins."""
