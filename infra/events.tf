resource "google_pubsub_topic" "events" {
  project                    = var.project_id
  name                       = "${var.name}-events"
  message_retention_duration = "86400s"
  depends_on                 = [google_project_service.needed]
}

resource "google_pubsub_topic" "undelivered" {
  project                    = var.project_id
  name                       = "${var.name}-events-undelivered"
  message_retention_duration = "604800s"
  depends_on                 = [google_project_service.needed]
}

resource "google_pubsub_topic_iam_member" "runtime" {
  project = var.project_id
  topic   = google_pubsub_topic.events.name
  role    = "roles/pubsub.publisher"
  member  = google_service_account.runtime.member
}

# What others publish comes in as events; what comes back of our own is recognised, see docs/how-to/events.md.
resource "google_pubsub_subscription" "push" {
  count                = var.push_events ? 1 : 0
  project              = var.project_id
  name                 = "${var.name}-events-push"
  topic                = google_pubsub_topic.events.id
  ack_deadline_seconds = 60

  # Never: by default Google deletes a subscription that delivered nothing for 31 days, as where tasks run monthly.
  expiration_policy {
    ttl = ""
  }

  push_config {
    push_endpoint = "${local.url}/api/events"

    oidc_token {
      service_account_email = google_service_account.invoker.email
      audience              = local.url
    }
  }

  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.undelivered.id
    max_delivery_attempts = 5
  }

  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
}

# Pub/Sub itself moves what cannot be delivered.
resource "google_pubsub_topic_iam_member" "pubsub_undelivered" {
  count   = var.push_events ? 1 : 0
  project = var.project_id
  topic   = google_pubsub_topic.undelivered.name
  role    = "roles/pubsub.publisher"
  member  = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

# In a project of before April 2021 Pub/Sub may not make the invoker's token: nothing would arrive.
resource "google_service_account_iam_member" "pubsub_as_invoker" {
  count              = var.push_events ? 1 : 0
  service_account_id = google_service_account.invoker.name
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_subscription_iam_member" "pubsub_push" {
  count        = var.push_events ? 1 : 0
  project      = var.project_id
  subscription = google_pubsub_subscription.push[0].name
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:service-${var.project_number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}
