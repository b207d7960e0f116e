"""Job files: HCL or JSON text to Nomad's job in JSON, checked, compared and given its defaults."""
