"""What earlier releases and the other tables of a submission add to a new one."""
