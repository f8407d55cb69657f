"""What every room uses: errors, units, random numbers, processes, devices, tables, files."""
