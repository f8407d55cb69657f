"""What the figures of all topics share: ``style`` and ``axes``. The topics draw their own."""
