# Terraform makes the places of the secrets, never their values: those would be in its state. scripts/deploy puts a
# first value into each; docs/guide/deploy.md says how to change one.

locals {
  own_secrets = {
    CRON_SECRET          = "${var.name}-cron-secret"
    CRON_SECRET_PREVIOUS = "${var.name}-cron-secret-previous"
    API_KEY              = "${var.name}-api-key"
  }
  used_secrets = merge(
    { for name, id in local.own_secrets : name => id if var.rotating || name != "CRON_SECRET_PREVIOUS" },
    var.secrets,
  )
}

resource "google_secret_manager_secret" "own" {
  for_each  = local.own_secrets
  project   = var.project_id
  secret_id = each.value

  replication {
    auto {}
  }
  depends_on = [google_project_service.needed]
}

resource "google_secret_manager_secret_iam_member" "runtime" {
  for_each   = merge(local.own_secrets, var.secrets)
  project    = var.project_id
  secret_id  = each.value
  role       = "roles/secretmanager.secretAccessor"
  member     = google_service_account.runtime.member
  depends_on = [google_secret_manager_secret.own]
}
