# The next minute is the retry: a tick that failed is not asked for again within its own.
resource "google_cloud_scheduler_job" "tick" {
  project          = var.project_id
  region           = var.region
  name             = "${var.name}-tick"
  description      = "A tick each minute"
  schedule         = "* * * * *"
  time_zone        = "Etc/UTC"
  attempt_deadline = "60s"

  retry_config {
    retry_count = 0
  }

  http_target {
    http_method = "POST"
    uri         = "${local.url}/tick"

    oidc_token {
      service_account_email = google_service_account.invoker.email
      audience              = local.url
    }
  }

  # Paused where another pinger ticks alone; versions of the provider since September 2026 would resume it.
  lifecycle {
    ignore_changes = [paused]
  }

  # A tick before its caller may call would be the first thing that the log says.
  depends_on = [
    google_project_service.needed,
    google_cloudfunctions2_function.main,
    google_cloud_run_service_iam_member.invoker,
  ]
}
