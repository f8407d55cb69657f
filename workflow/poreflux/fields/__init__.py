"""What a guest feels: force field, energy grid and its spline, channels, equation of state."""
