locals {
  collections = {
    "tasks" = {
      single = { "nextRunAt" = "ASCENDING", "status" = "ASCENDING", "type" = "ASCENDING", "owner" = "ASCENDING", "origin" = "ASCENDING", "lastOutcome" = "ASCENDING", "title" = "ASCENDING", "tags" = "CONTAINS" }
      composite = [
        [["shard", "ASCENDING"], ["nextRunAt", "ASCENDING"]]
      ]
      ttl = null
    }
    "runs" = {
      single = { "at" = "DESCENDING" }
      composite = [
        [["latestAt", "DESCENDING"], ["earliestAt", "DESCENDING"]],
        [["taskIds", "CONTAINS"], ["latestAt", "DESCENDING"], ["earliestAt", "DESCENDING"]]
      ]
      ttl = "expireAt"
    }
    "owners" = {
      single    = {}
      composite = []
      ttl       = "expireAt"
    }
    "channels" = {
      single    = {}
      composite = []
      ttl       = "expireAt"
    }
    "keys" = {
      single    = {}
      composite = []
      ttl       = "expireAt"
    }
    "audit" = {
      single    = {}
      composite = []
      ttl       = "expireAt"
    }
    "meta" = {
      single    = {}
      composite = []
      ttl       = "expireAt"
    }
    "listeners" = {
      single    = {}
      composite = []
      ttl       = "expireAt"
    }
    "groups" = {
      single    = {}
      composite = []
      ttl       = "expireAt"
    }
    "calendars" = {
      single    = {}
      composite = []
      ttl       = "expireAt"
    }
  }
}

# Everything is exempt from indexes but what queries ask for: that halves the latency of a write, and large notes
# cost nothing. tests/integration/infra holds this and the code's own list together.
resource "google_firestore_database" "main" {
  project                           = var.project_id
  name                              = var.database_name
  location_id                       = var.region
  type                              = "FIRESTORE_NATIVE"
  delete_protection_state           = var.protect_database ? "DELETE_PROTECTION_ENABLED" : "DELETE_PROTECTION_DISABLED"
  deletion_policy                   = var.protect_database ? "ABANDON" : "DELETE"
  point_in_time_recovery_enablement = var.point_in_time_recovery ? "POINT_IN_TIME_RECOVERY_ENABLED" : "POINT_IN_TIME_RECOVERY_DISABLED"
  depends_on                        = [google_project_service.needed]
}

resource "google_firestore_backup_schedule" "daily" {
  count     = var.daily_backups > 0 ? 1 : 0
  project   = var.project_id
  database  = google_firestore_database.main.name
  retention = "${var.daily_backups * 86400}s"

  daily_recurrence {}
}

resource "google_firestore_index" "composite" {
  for_each = merge([for name, one in local.collections : {
    for fields in one.composite : "${name}:${join(",", [for f in fields : f[0]])}" => { collection = name, fields = fields }
  }]...)
  project    = var.project_id
  database   = google_firestore_database.main.name
  collection = each.value.collection

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path   = fields.value[0]
      order        = fields.value[1] == "CONTAINS" ? null : fields.value[1]
      array_config = fields.value[1] == "CONTAINS" ? "CONTAINS" : null
    }
  }
}

resource "google_firestore_field" "single" {
  for_each = merge([for name, one in local.collections : merge(
    { "${name}:*" = { collection = name, field = "*", mode = null, ttl = false } },
    { for field, mode in one.single : "${name}:${field}" => { collection = name, field = field, mode = mode, ttl = false } },
    one.ttl == null ? {} : { "${name}:ttl" = { collection = name, field = one.ttl, mode = null, ttl = true } },
  )]...)
  project    = var.project_id
  database   = google_firestore_database.main.name
  collection = each.value.collection
  field      = each.value.field

  index_config {
    dynamic "indexes" {
      for_each = each.value.mode == null ? [] : [each.value.mode]
      content {
        order        = indexes.value == "CONTAINS" ? null : indexes.value
        array_config = indexes.value == "CONTAINS" ? "CONTAINS" : null
      }
    }
  }

  dynamic "ttl_config" {
    for_each = each.value.ttl ? [true] : []
    content {}
  }
}
