# Long tasks and backlogs: each message is a share of work, see docs/explanation/scale.md. What cannot be delivered is still due.
resource "google_cloud_tasks_queue" "work" {
  project  = var.project_id
  location = var.region
  name     = coalesce(var.queue_name, "${var.name}-work")

  rate_limits {
    max_dispatches_per_second = 10
    max_concurrent_dispatches = max(1, var.max_instances - 1) # one is left for ticks and people
  }

  retry_config {
    max_attempts = 3
    min_backoff  = "10s"
    max_backoff  = "300s"
  }
  depends_on = [google_project_service.needed]
}

resource "google_cloud_tasks_queue_iam_member" "runtime" {
  project  = var.project_id
  location = var.region
  name     = google_cloud_tasks_queue.work.name
  role     = "roles/cloudtasks.enqueuer"
  member   = google_service_account.runtime.member
}

# A message carries the invoker's ID token; its sender must be allowed to use that account.
resource "google_service_account_iam_member" "runtime_as_invoker" {
  service_account_id = google_service_account.invoker.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.runtime.member
}
