"""A loss, a term, a generator and a data set for gcn; they are used by naming this package, plugins=[example]."""
