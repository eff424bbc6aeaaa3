"""Where the arms of a study are trained: processes of this machine, jobs of submitit, tasks of a Ray cluster."""
