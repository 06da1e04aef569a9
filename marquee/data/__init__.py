"""Events and tables: contract, readers, data-set catalogue, warehouse, snapshots, time splits."""
