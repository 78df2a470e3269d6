# Terraform makes the secrets and their first values. A value is random and write-only: it is neither in the plan nor
# in the state. docs/guide/deploy.md says how to change one.

locals {
  own_secrets = {
    CRON_SECRET             = "${var.name}-cron-secret"
    CRON_SECRET_PREVIOUS    = "${var.name}-cron-secret-previous"
    API_KEY                 = "${var.name}-api-key"
    SIGNING_SECRET          = "${var.name}-signing-secret"
    SIGNING_SECRET_PREVIOUS = "${var.name}-signing-secret-previous"
  }
  retiring_secrets = { CRON_SECRET_PREVIOUS = var.rotating, SIGNING_SECRET_PREVIOUS = var.rotating_signing }
  used_secrets = merge(
    { for name, id in local.own_secrets : name => id if lookup(local.retiring_secrets, name, true) },
    var.secrets,
  )
}

resource "google_secret_manager_secret" "own" {
  for_each  = local.own_secrets
  project   = var.project_id
  secret_id = each.value

  replication {
    dynamic "auto" {
      for_each = var.secrets_in_region ? [] : [true]
      content {}
    }
    dynamic "user_managed" {
      for_each = var.secrets_in_region ? [var.region] : []
      content {
        replicas {
          location = user_managed.value
        }
      }
    }
  }

  # Another place would be another secret, and the values are lost: keys and sessions are signed with one of them.
  lifecycle {
    ignore_changes = [replication]
  }
  depends_on = [google_project_service.needed]
}

# 244 random bits. They are others at every plan, and are sent once: a version changes only with its number.
resource "google_secret_manager_secret_version" "first" {
  for_each               = local.own_secrets
  secret                 = google_secret_manager_secret.own[each.key].id
  secret_data_wo         = replace("${uuid()}${uuid()}", "-", "")
  secret_data_wo_version = 1
  deletion_policy        = "ABANDON" # a version that was rotated away is disabled by hand, never destroyed by a plan

  lifecycle {
    ignore_changes = [enabled]
  }
}

resource "google_secret_manager_secret_iam_member" "runtime" {
  for_each   = merge(local.own_secrets, var.secrets)
  project    = var.project_id
  secret_id  = each.value
  role       = "roles/secretmanager.secretAccessor"
  member     = google_service_account.runtime.member
  depends_on = [google_secret_manager_secret.own]
}
