locals {
  # Known before the function is made, so that it gets its own address as a setting.
  url = "https://${var.name}-${var.project_number}.${var.region}.run.app"

  environment = merge(
    {
      STORE_URL              = "firestore://${var.project_id}/${google_firestore_database.main.name}"
      OIDC_AUDIENCE          = local.url
      OIDC_SERVICE_ACCOUNTS  = google_service_account.invoker.email
      PUBLIC_URL             = local.url
      WORKER_QUEUE           = google_cloud_tasks_queue.work.id
      WORKER_URL             = "${local.url}/work" # also where PUBLIC_URL is a domain whose proxy passes pages alone
      WORKER_SERVICE_ACCOUNT = google_service_account.invoker.email
      WORKER_BUDGET_SECONDS  = tostring(var.worker_budget_s)
      EVENTS_TOPIC           = google_pubsub_topic.events.id
      LATE_AFTER_MINUTES     = "5"
    },
    var.settings,
  )
}

# The rest is made by these two: with one of them off, enabling the others, or the first account, is an error.
resource "google_project_service" "first" {
  for_each           = toset(["cloudresourcemanager.googleapis.com", "iam.googleapis.com"])
  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
}

resource "google_project_service" "needed" {
  for_each = toset(concat(var.billing_account == "" ? [] : ["billingbudgets.googleapis.com"], [
    "artifactregistry.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudscheduler.googleapis.com",
    "cloudtasks.googleapis.com",
    "firestore.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "storage.googleapis.com",
  ]))
  project            = var.project_id
  service            = each.value
  disable_on_destroy = false
  depends_on         = [google_project_service.first]
}

resource "google_storage_bucket" "source" {
  project                     = var.project_id
  name                        = "${var.project_id}-${var.name}-source"
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  force_destroy               = var.force_destroy

  # A deploy replaces the object: the one before stays as a noncurrent version, to go back to, and then goes.
  versioning {
    enabled = true
  }
  lifecycle_rule {
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
    action {
      type = "Delete"
    }
  }
  depends_on = [google_project_service.needed]
}

# The name changes with the content: a new source is a new object, and so a new revision.
resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  name   = "source-${filesha256(var.source_zip)}.zip"
  source = var.source_zip
}

resource "google_cloudfunctions2_function" "main" {
  project     = var.project_id
  location    = var.region
  name        = var.name
  description = "Cronfire: a serverless task scheduler"

  build_config {
    runtime         = "python312"
    entry_point     = "scheduler"
    service_account = google_service_account.deployer.id

    source {
      storage_source {
        bucket = google_storage_bucket.source.name
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    service_account_email            = google_service_account.runtime.email
    available_memory                 = "${var.memory_mib}Mi"
    available_cpu                    = "1"
    timeout_seconds                  = var.timeout_s
    max_instance_count               = var.max_instances
    min_instance_count               = 0
    max_instance_request_concurrency = 20
    ingress_settings                 = "ALLOW_ALL"
    all_traffic_on_latest_revision   = true

    environment_variables = local.environment

    dynamic "secret_environment_variables" {
      for_each = local.used_secrets
      content {
        key        = secret_environment_variables.key
        project_id = var.project_id
        secret     = secret_environment_variables.value
        version    = "latest"
      }
    }
  }

  # Cloud Functions refuses a name that is given twice, after minutes.
  lifecycle {
    precondition {
      condition     = length(setintersection(keys(local.environment), keys(local.used_secrets))) == 0
      error_message = "secrets: a setting is in settings as well, or is set by this module; leave it out of one of them."
    }
  }

  depends_on = [
    google_project_service.needed,
    google_project_iam_member.deployer,
    google_secret_manager_secret_iam_member.runtime,
    google_secret_manager_secret_version.first,
  ]
}
