"""The pure core: values and decisions over the standard library only. No SQL, no async, no clock, no I/O."""
