"""What the hub keeps: tables, the unit of work, databases, the schema's history."""
