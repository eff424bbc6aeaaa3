"""Published weights of other projects: reading their files, and their tensors under the names of this project."""
