"""The job files of the reference document, as its shell writes them."""

from __future__ import annotations

JAVA = """
job "{id}" {{
  datacenters = ["dc1"]

  type = "batch"

  group "java-batch" {{
    count = 1
    task "to-upper" {{
      driver = "java"
      artifact {{
        source = "{artifacts}/batch-processing-0.0.1-SNAPSHOT.jar"
      }}
      config {{
        jar_path    = "local/batch-processing-0.0.1-SNAPSHOT.jar"
        jvm_options = ["-Xmx2048m", "-Xms256m"]
      }}
      resources {{
          cpu    = 500
          memory = 300
      }}
    }}
  }}
}}
"""

JAVA_ON_THE_SITE = """
job "{id}" {{
  datacenters = ["dc1"]

  type = "batch"

  group "java-batch" {{
    count = 1
    task "to-upper" {{
      driver = "java"
      config {{
        jar_path    = "{jar}"
      }}
      resources {{
          cpu    = 500
          memory = 300
      }}
    }}
  }}
}}
"""

ENCRYPTER = """
job "{id}" {{
  datacenters = ["dc1"]

  type = "batch"

  parameterized {{
    payload = "required"
  }}

  group "parameterized-encrypter" {{
    count = 1
    task "encrypter" {{
      driver = "raw_exec"
      artifact {{
        source = "{artifacts}/pass.txt"
      }}
      config {{
        # When running a binary that exists on the host, the path must be absolute.
        command = "{openssl}"
        args    = ["aes-256-cbc", "-e", "-in", "${{NOMAD_TASK_DIR}}/rawtext.txt", "-out",
                   "{directory}/encrypted.txt", "-pass", "file:local/pass.txt"]
      }}
      dispatch_payload {{
        file = "rawtext.txt"
      }}
    }}
  }}
}}
"""

PERIODIC = """
job "{id}" {{
  datacenters = ["dc1"]
  type = "batch"

  periodic {{
    cron             = "*/1 * * * * *"
    prohibit_overlap = true
    time_zone = "Asia/Tokyo"
  }}

  group "periodic-echo" {{
    count = 1
    task "periodic-echo" {{
      driver = "raw_exec"
      artifact {{
        source = "{artifacts}/periodic-task.sh"
      }}
      config {{
        # When running a binary that exists on the host, the path must be absolute.
        command = "local/periodic-task.sh"
      }}
    }}
  }}
}}
"""

ELEMENTS = """
job "{id}" {{
  datacenters = ["dc1"]
  type = "batch"

  group "many" {{
    count = 2
    task "work" {{
      driver = "raw_exec"
      config {{
        command = "/bin/sh"
        args    = ["-c", "echo many $NOMAD_ALLOC_INDEX $NOMAD_ALLOC_ID"]
      }}
    }}
  }}
  group "one" {{
    reschedule {{
      attempts = 0
    }}
    restart {{
      attempts = 0
    }}
    task "fail" {{
      driver = "raw_exec"
      config {{
        command = "/bin/sh"
        args    = ["-c", "echo one; exit 3"]
      }}
    }}
  }}
}}
"""

SLEEPER = """
job "{id}" {{
  datacenters = ["dc1"]
  type = "batch"

  group "g" {{
    task "sleeper" {{
      driver = "raw_exec"
      config {{
        command = "/bin/sh"
        args    = ["-c", "echo begun; sleep 300"]
      }}
    }}
  }}
}}
"""
