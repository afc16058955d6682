"""Pictures of flow and of results."""
