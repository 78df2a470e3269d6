# Log lines that are counted, by the names they have in the code.
locals {
  counted = {
    ticks    = ["tick_done"]
    degraded = ["tick_degraded", "work_degraded", "settlements_not_written", "attempts_stuck", "scheduler_late"]
    lost     = ["claim_expired"]
  }
  own_logs = "resource.type=\"cloud_run_revision\" AND resource.labels.service_name=\"${var.name}\""
}

resource "google_logging_metric" "counted" {
  for_each    = local.counted
  project     = var.project_id
  name        = "${var.name}/${each.key}"
  description = "Log lines: ${join(", ", each.value)}"
  filter      = "${local.own_logs} AND jsonPayload.message=(${join(" OR ", [for name in each.value : "\"${name}\""])})"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
  }
  depends_on = [google_project_service.needed]
}

# An alert on a metric that Monitoring does not know yet is an error 404, up to ten minutes after it was made. It waits
# beside the function and the database, which take as long.
resource "terraform_data" "metrics_known" {
  triggers_replace = [for metric in google_logging_metric.counted : metric.id]

  provisioner "local-exec" {
    command = "sleep 600"
  }
}

resource "google_monitoring_notification_channel" "email" {
  count        = var.alarm_email == "" ? 0 : 1
  project      = var.project_id
  display_name = "${var.name}: ${var.alarm_email}"
  type         = "email"
  labels       = { email_address = var.alarm_email }
  depends_on   = [google_project_service.needed]
}

resource "google_monitoring_alert_policy" "silent" {
  project               = var.project_id
  display_name          = "${var.name}: no tick for 3 minutes"
  combiner              = "OR"
  notification_channels = google_monitoring_notification_channel.email[*].id

  conditions {
    display_name = "no tick came to its end"

    condition_absent {
      filter   = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.counted["ticks"].name}\" AND resource.type=\"cloud_run_revision\""
      duration = "180s"

      aggregations {
        alignment_period     = "60s"
        per_series_aligner   = "ALIGN_COUNT"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  depends_on = [terraform_data.metrics_known]

  documentation {
    content = "Nobody pings, or ticks fail: look at the job ${var.name}-tick of Cloud Scheduler and at the function's log. Nothing is lost: what was due is run, or recorded as missed, by the next tick."
  }
}

resource "google_monitoring_alert_policy" "counted" {
  for_each = {
    degraded = { text = "ticks are degraded", above = 2, doc = "The store did not answer, or a tick had to leave something unwritten: the function's log says which. The next tick heals what can be healed." }
    lost     = { text = "claims were lost", above = 5, doc = "Instances end while they work: look for memory (memory_mib) and for tasks that take their process with them; those are quarantined after three times." }
  }
  project               = var.project_id
  display_name          = "${var.name}: ${each.value.text}"
  combiner              = "OR"
  notification_channels = google_monitoring_notification_channel.email[*].id

  conditions {
    display_name = "more than ${each.value.above} in 5 minutes"

    condition_threshold {
      filter          = "metric.type=\"logging.googleapis.com/user/${google_logging_metric.counted[each.key].name}\" AND resource.type=\"cloud_run_revision\""
      comparison      = "COMPARISON_GT"
      threshold_value = each.value.above
      duration        = "0s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
      }
    }
  }

  depends_on = [terraform_data.metrics_known]

  documentation {
    content = each.value.doc
  }
}

# In the currency of the billing account: another one is refused.
resource "google_billing_budget" "month" {
  count           = var.billing_account == "" ? 0 : 1
  provider        = google.billing
  billing_account = var.billing_account
  display_name    = "${var.name}: a month"

  budget_filter {
    projects = ["projects/${var.project_number}"]
  }

  amount {
    specified_amount {
      units = tostring(var.budget)
    }
  }

  threshold_rules {
    threshold_percent = 0.5
  }
  threshold_rules {
    threshold_percent = 1.0
  }
  depends_on = [google_project_service.needed]
}
