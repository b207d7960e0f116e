job "hello-java-batch" {
  datacenters = ["dc1"]

  type = "batch"

  group "java-batch" {
    count = 1
    task "to-upper" {
      driver = "java"
      config {
        jar_path    = "/home/user/nomad-workshop/gs-batch-processing/complete/target/batch-processing-0.0.1-SNAPSHOT.jar"
      }
      resources {
          cpu    = 500
          memory = 300
      }
    }
  }
}
