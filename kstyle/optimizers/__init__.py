"""The optimisers of the picture and the variables that they optimise."""
