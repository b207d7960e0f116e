"""The puller's ports to AWS: the only users of boto3."""
