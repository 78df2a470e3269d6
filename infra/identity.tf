resource "google_service_account" "runtime" {
  project      = var.project_id
  account_id   = "cronfire-runtime"
  display_name = "Cronfire: runs the function"
}

resource "google_service_account" "invoker" {
  project      = var.project_id
  account_id   = "cronfire-invoker"
  display_name = "Cronfire: calls the function"
}

resource "google_project_iam_member" "runtime_store" {
  project = var.project_id
  role    = "roles/datastore.user"
  member  = "serviceAccount:${google_service_account.runtime.email}"

  condition {
    title      = "own database"
    expression = "resource.name == \"projects/${var.project_id}/databases/${google_firestore_database.main.name}\""
  }
}
