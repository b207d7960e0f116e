job "hello-java-batch" {
  datacenters = ["dc1"]

  type = "batch"

  group "java-batch" {
    count = 1
    task "to-upper" {
      driver = "java"
      artifact {
        source = "https://jar-tkaburagi.s3-ap-northeast-1.amazonaws.com/batch-processing-0.0.1-SNAPSHOT.jar"
      }
      config {
        jar_path    = "local/batch-processing-0.0.1-SNAPSHOT.jar"
        jvm_options = ["-Xmx2048m", "-Xms256m"]
      }
      resources {
          cpu    = 500
          memory = 300
      }
    }
  }
}
