job "periodic-echo" {
  datacenters = ["dc1"]
  type = "batch"

  periodic {
    cron             = "*/1 * * * * *"
    prohibit_overlap = true
    time_zone = "Asia/Tokyo"
  }

  group "periodic-echo" {
    count = 1
    task "periodic-echo" {
      driver = "raw_exec"
      artifact {
        source = "https://jar-tkaburagi.s3-ap-northeast-1.amazonaws.com/periodic-task.sh"
      }
      config {
        # When running a binary that exists on the host, the path must be absolute.
        command = "local/periodic-task.sh"
      }
    }
  }
}
