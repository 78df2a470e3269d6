# Three accounts: one runs the function, one calls it, one builds it. None has a key, none has a role on the whole
# project that could be given on one resource.

resource "google_service_account" "runtime" {
  project      = var.project_id
  account_id   = "${var.name}-runtime"
  display_name = "${var.name}: runs the function"
  depends_on   = [google_project_service.first]
}

resource "google_service_account" "invoker" {
  project      = var.project_id
  account_id   = "${var.name}-invoker"
  display_name = "${var.name}: calls the function"
  depends_on   = [google_project_service.first]
}

resource "google_service_account" "deployer" {
  project      = var.project_id
  account_id   = "${var.name}-deployer"
  display_name = "${var.name}: builds the function"
  depends_on   = [google_project_service.first]
}

resource "google_project_iam_member" "runtime_store" {
  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.runtime.member

  condition {
    title      = "own database"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.main.name}\""
  }
}

# A build writes its log and an image, and reads the source. Cloud Functions copies that into a bucket of its own
# (gcf-v2-sources-NUMBER-REGION), which is there only after the first deploy: the role cannot be given on it before.
resource "google_project_iam_member" "deployer" {
  for_each = toset(["roles/logging.logWriter", "roles/artifactregistry.writer", "roles/storage.objectViewer"])
  project  = var.project_id
  role     = each.value
  member   = google_service_account.deployer.member
}

resource "google_cloud_run_service_iam_member" "invoker" {
  project  = var.project_id
  location = var.region
  service  = google_cloudfunctions2_function.main.name
  role     = "roles/run.invoker"
  member   = google_service_account.invoker.member
}

# Callers without a Google account reach the program, which asks for the shared secret or a key.
resource "google_cloud_run_service_iam_member" "anybody" {
  count    = var.bearer_pingers ? 1 : 0
  project  = var.project_id
  location = var.region
  service  = google_cloudfunctions2_function.main.name
  role     = "roles/run.invoker"
  member   = "allUsers"
}
