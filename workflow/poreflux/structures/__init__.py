"""Crystal structures: the structure, its CIF, its checks, the packages that it comes from."""
