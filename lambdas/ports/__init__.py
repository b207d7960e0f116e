"""The control plane's ports to AWS: the only users of boto3 here."""
