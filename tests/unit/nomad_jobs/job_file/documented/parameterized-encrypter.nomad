job "parameterized-encrypter" {
  datacenters = ["dc1"]

  type = "batch"

  parameterized {
    payload = "required"
  }

  group "parameterized-encrypter" {
    count = 1
    task "encrypter" {
      driver = "raw_exec"
      artifact {
        source = "https://jar-tkaburagi.s3-ap-northeast-1.amazonaws.com/pass.txt"
      }
      config {
        # When running a binary that exists on the host, the path must be absolute.
        command = "/usr/bin/openssl"
        args    = ["aes-256-cbc", "-e", "-in", "${NOMAD_TASK_DIR}/rawtext.txt", "-out", "/home/user/nomad-workshop/encrypted.txt", "-pass", "file:local/pass.txt"]
      }
      dispatch_payload {
        file = "rawtext.txt"
      }
    }
  }
}
