"""What models learn from: features, labels, and tables read from files."""
