"""Files of readings: which format one has, what stands in it, and how to write one."""
