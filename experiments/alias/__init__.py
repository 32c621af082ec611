"""Serving by alias with other stacks: KServe's own model server for real, SageMaker's API as a double."""
