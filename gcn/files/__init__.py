"""Files and their names: how anything is written, and how a name is shown."""
