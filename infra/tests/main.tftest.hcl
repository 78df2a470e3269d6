mock_provider "google" {
  override_during = plan

  mock_resource "google_service_account" {
    defaults = {
      email  = "account@example-project.iam.gserviceaccount.com"
      name   = "projects/example-project/serviceAccounts/account@example-project.iam.gserviceaccount.com"
      id     = "projects/example-project/serviceAccounts/account@example-project.iam.gserviceaccount.com"
      member = "serviceAccount:account@example-project.iam.gserviceaccount.com"
    }
  }
}

mock_provider "google" {
  alias           = "billing"
  override_during = plan
}

variables {
  project_id     = "example-project"
  project_number = "123456789012"
  region         = "europe-west1"
  source_zip     = "tests/source.zip"
}

# Each run is a plan of its own, which takes seconds: what one plan can show is asserted together.

run "what_is_made_by_default" {
  command = plan

  variables {
    secrets = { SLACK_WEBHOOK_URL = "slack-webhook" }
  }

  # The database is protected and has its indexes.
  assert {
    condition     = google_firestore_database.main.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    error_message = "The database can be deleted."
  }
  assert {
    condition     = contains(keys(google_firestore_index.composite), "tasks:shard,nextRunAt")
    error_message = "Due tasks of a shard have no index."
  }
  assert {
    condition     = length(google_firestore_index.composite) == 3
    error_message = "An index is missing, or is one too many."
  }
  assert {
    condition     = length(google_firestore_field.single["runs:ttl"].ttl_config) == 1 && length(google_firestore_field.single["tasks:nextRunAt"].ttl_config) == 0
    error_message = "History must expire, and tasks must not."
  }
  assert {
    condition     = alltrue([for name in keys(local.collections) : length(google_firestore_field.single["${name}:*"].index_config[0].indexes) == 0])
    error_message = "A collection indexes fields that nobody asks for."
  }

  # A tick each minute with the invoker's token, and no retry.
  assert {
    condition     = google_cloud_scheduler_job.tick.attempt_deadline == "60s"
    error_message = "A tick must be given up before the next minute's."
  }
  assert {
    condition     = google_cloud_scheduler_job.tick.retry_config[0].retry_count == 0
    error_message = "The next minute is the retry."
  }
  assert {
    condition     = google_cloud_scheduler_job.tick.schedule == "* * * * *"
    error_message = "It must be asked for each minute."
  }
  assert {
    condition     = google_cloud_scheduler_job.tick.http_target[0].oidc_token[0].service_account_email == google_service_account.invoker.email
    error_message = "The job must call as the invoker."
  }
  assert {
    condition = (
      google_cloud_scheduler_job.tick.http_target[0].oidc_token[0].audience == "https://cronfire-123456789012.europe-west1.run.app"
      && google_cloudfunctions2_function.main.service_config[0].environment_variables["OIDC_AUDIENCE"] == google_cloud_scheduler_job.tick.http_target[0].oidc_token[0].audience
    )
    error_message = "The job's audience is not the one that the function accepts."
  }
  assert {
    condition     = google_cloud_scheduler_job.tick.http_target[0].uri == "https://cronfire-123456789012.europe-west1.run.app/tick"
    error_message = "The job calls the wrong address."
  }

  # The function is bounded, and gets secrets by reference.
  assert {
    condition = (
      google_cloudfunctions2_function.main.service_config[0].timeout_seconds >= 60
      && google_cloudfunctions2_function.main.service_config[0].timeout_seconds >= tonumber(google_cloudfunctions2_function.main.service_config[0].environment_variables["WORKER_BUDGET_SECONDS"]) + 20
    )
    error_message = "A request may be cut off before it has answered."
  }
  assert {
    condition     = google_cloudfunctions2_function.main.service_config[0].max_instance_count == 4 && google_cloudfunctions2_function.main.service_config[0].min_instance_count == 0
    error_message = "Instances are not bounded, or are paid for while nothing happens."
  }
  assert {
    condition     = toset([for one in google_cloudfunctions2_function.main.service_config[0].secret_environment_variables : one.key]) == toset(["CRON_SECRET", "API_KEY", "SIGNING_SECRET", "SLACK_WEBHOOK_URL"])
    error_message = "The function does not get exactly its secrets."
  }
  assert {
    condition     = length([for name in keys(google_cloudfunctions2_function.main.service_config[0].environment_variables) : name if can(regex("SECRET|KEY", name))]) == 0
    error_message = "A secret is a plain variable."
  }
  assert {
    condition     = google_cloudfunctions2_function.main.build_config[0].entry_point == "scheduler"
    error_message = "main.py exports scheduler."
  }
  assert {
    condition     = toset(keys(google_secret_manager_secret_iam_member.runtime)) == toset(["CRON_SECRET", "CRON_SECRET_PREVIOUS", "API_KEY", "SIGNING_SECRET", "SIGNING_SECRET_PREVIOUS", "SLACK_WEBHOOK_URL"])
    error_message = "The runtime may read other secrets than its own, or not all of them."
  }

  assert {
    condition     = alltrue([for one in google_secret_manager_secret.own : length(one.replication[0].auto) == 1 && length(one.replication[0].user_managed) == 0])
    error_message = "Secrets are where nobody asked for."
  }

  # Each account has the roles that it needs, and no others.
  assert {
    condition     = google_project_iam_member.runtime_store.role == "roles/datastore.user" && length(google_project_iam_member.runtime_store.condition) == 1
    error_message = "The runtime may use its own database alone."
  }
  assert {
    condition     = toset([for one in google_project_iam_member.deployer : one.role]) == toset(["roles/logging.logWriter", "roles/artifactregistry.writer", "roles/storage.objectViewer"])
    error_message = "The deployer has not the roles of a build: log, image, and Cloud Functions' own bucket of sources."
  }
  assert {
    condition     = google_cloud_run_service_iam_member.invoker.role == "roles/run.invoker" && length(google_cloud_run_service_iam_member.anybody) == 0
    error_message = "Somebody else than the invoker may call the function."
  }
  assert {
    condition     = google_cloud_tasks_queue_iam_member.runtime.role == "roles/cloudtasks.enqueuer" && google_pubsub_topic_iam_member.runtime.role == "roles/pubsub.publisher"
    error_message = "The runtime may do more than put things in."
  }
  assert {
    condition     = google_service_account_iam_member.runtime_as_invoker.role == "roles/iam.serviceAccountUser"
    error_message = "Messages of the queue could not carry the invoker's token."
  }

  # A first apply stops nowhere, and destroy neither.
  assert {
    condition     = toset(keys(google_project_service.first)) == toset(["cloudresourcemanager.googleapis.com", "iam.googleapis.com"])
    error_message = "On a new project the APIs by which the others are enabled, and accounts made, are off."
  }
  assert {
    condition     = !contains(keys(google_project_service.needed), "billingbudgets.googleapis.com")
    error_message = "An API is enabled that nothing here uses."
  }
  assert {
    condition     = toset(keys(google_secret_manager_secret_version.first)) == toset(keys(local.own_secrets))
    error_message = "The function cannot start: a secret that it reads has no version."
  }
  assert {
    condition     = alltrue([for one in google_secret_manager_secret_version.first : one.secret_data_wo_version == 1 && one.deletion_policy == "ABANDON"])
    error_message = "A value would be made anew, or destroyed."
  }
  assert {
    condition     = google_storage_bucket.source.force_destroy
    error_message = "destroy stops at a bucket that is not empty."
  }
  assert {
    condition     = google_firestore_database.main.deletion_policy == "ABANDON"
    error_message = "destroy stops at the database, which is protected, instead of leaving it."
  }
  assert {
    condition     = !anytrue([for one in concat(values(google_project_service.first), values(google_project_service.needed)) : one.disable_on_destroy])
    error_message = "destroy switches off APIs that others in the project use."
  }
  assert {
    condition     = one(flatten([for rule in google_storage_bucket.source.lifecycle_rule : [for one in rule.condition : one.days_since_noncurrent_time]])) == 30
    error_message = "Replaced sources are kept for ever."
  }
  assert {
    condition     = google_cloud_tasks_queue.work.name == "cronfire-work" && length(google_firestore_backup_schedule.daily) == 0
    error_message = "The queue has another name than documented, or backups are paid for that nobody asked for."
  }
}

# The name of the queue is another one, since Cloud Tasks refuses that of one deleted less than seven days ago.
run "what_is_made_when_asked_for" {
  command = plan

  variables {
    rotating          = true
    bearer_pingers    = true
    push_events       = true
    secrets_in_region = true
    alarm_email       = "ann@example.com"
    billing_account   = "012345-6789AB-CDEF01"
    settings          = { CREDITS_PER_1K_TOKENS = "0.5", PUBLIC_URL = "https://status.example.com" } # the first only sounds secret
    queue_name        = "cronfire-work-2"
    daily_backups     = 7

    protect_database = false
  }

  # Then destroy removes the database too.
  assert {
    condition     = google_firestore_database.main.deletion_policy == "DELETE" && google_firestore_database.main.delete_protection_state == "DELETE_PROTECTION_DISABLED"
    error_message = "A database that is not protected any more stays."
  }

  # Events still come in after a month without any.
  assert {
    condition     = google_pubsub_subscription.push[0].expiration_policy[0].ttl == ""
    error_message = "The subscription of events expires."
  }

  # A domain of one's own is for people: its proxy may pass a few pages alone, and wait less than a worker works.
  assert {
    condition     = google_cloudfunctions2_function.main.service_config[0].environment_variables["PUBLIC_URL"] == "https://status.example.com" && google_cloudfunctions2_function.main.service_config[0].environment_variables["WORKER_URL"] == "https://cronfire-123456789012.europe-west1.run.app/work"
    error_message = "The queue must call the function itself."
  }

  # Two values while rotating.
  assert {
    condition     = contains([for one in google_cloudfunctions2_function.main.service_config[0].secret_environment_variables : one.key], "CRON_SECRET_PREVIOUS")
    error_message = "The secret that is being retired must still be accepted."
  }

  # Pingers with a bearer token reach the program.
  assert {
    condition     = google_cloud_run_service_iam_member.anybody[0].member == "allUsers"
    error_message = "cron-job.org could not reach the function."
  }

  # Work and events come with a token.
  assert {
    condition     = google_cloud_tasks_queue.work.rate_limits[0].max_concurrent_dispatches == 3
    error_message = "Workers could take every instance, and ticks would wait."
  }
  assert {
    condition     = google_pubsub_subscription.push[0].push_config[0].push_endpoint == "https://cronfire-123456789012.europe-west1.run.app/api/events"
    error_message = "Events are pushed elsewhere."
  }
  assert {
    condition     = google_pubsub_subscription.push[0].push_config[0].oidc_token[0].audience == "https://cronfire-123456789012.europe-west1.run.app"
    error_message = "Events are pushed with another audience than the function accepts."
  }
  assert {
    condition     = google_service_account_iam_member.pubsub_as_invoker[0].role == "roles/iam.serviceAccountTokenCreator" && google_service_account_iam_member.pubsub_as_invoker[0].service_account_id == google_service_account.invoker.name
    error_message = "In an old project Pub/Sub could not make the token, and no event would come."
  }
  assert {
    condition     = length(google_pubsub_subscription.push[0].dead_letter_policy) == 1
    error_message = "What cannot be delivered would be tried for ever."
  }

  # Somebody is notified when it is silent.
  assert {
    condition     = google_monitoring_alert_policy.silent.conditions[0].condition_absent[0].duration == "180s"
    error_message = "Silence must be noticed after 3 minutes."
  }
  assert {
    condition     = length(google_monitoring_notification_channel.email) == 1 && length(google_billing_budget.month) == 1
    error_message = "Nobody would be notified."
  }
  assert {
    condition     = google_billing_budget.month[0].amount[0].specified_amount[0].currency_code == null
    error_message = "A budget in another currency than the account's is refused."
  }
  assert {
    condition     = contains(keys(google_project_service.needed), "billingbudgets.googleapis.com")
    error_message = "The API of budgets is off."
  }

  # A setting that only sounds secret comes in.
  assert {
    condition     = google_cloudfunctions2_function.main.service_config[0].environment_variables["CREDITS_PER_1K_TOKENS"] == "0.5"
    error_message = "The setting did not reach the function."
  }

  # No secret outside the region, where an organisation forbids it.
  assert {
    condition     = alltrue([for one in google_secret_manager_secret.own : length(one.replication[0].auto) == 0 && one.replication[0].user_managed[0].replicas[0].location == "europe-west1"])
    error_message = "A secret would be everywhere."
  }

  # Another queue, and backups.
  assert {
    condition     = google_cloud_tasks_queue.work.name == "cronfire-work-2"
    error_message = "A name that was deleted cannot be used again for a week, and no other was taken."
  }
  assert {
    condition     = google_firestore_backup_schedule.daily[0].retention == "604800s"
    error_message = "Backups are kept for another time than asked."
  }
}

# A name in place of the project's id, a zone, a name of Google's, secrets by settings, a value as a secret's id, a worker cut off.
run "what_cannot_be_is_refused" {
  command         = plan
  expect_failures = [var.project_id, var.region, var.name, var.settings, var.secrets, var.worker_budget_s]
  variables {
    project_id      = "My Project"
    region          = "europe-west1-b"
    name            = "my-google-cron" # of which a bucket would be named
    settings        = { SLACK_WEBHOOK_URL = "https://hooks.example.com/secret" }
    secrets         = { SLACK_WEBHOOK_URL = "https://hooks.example.com/secret" }
    worker_budget_s = 290
  }
}

run "wrong_amounts_are_refused" {
  command         = plan
  expect_failures = [var.daily_backups, var.budget, var.timeout_s]
  variables {
    daily_backups = 99 # Firestore keeps them for 14 weeks at most
    budget        = 4.5
    timeout_s     = 60 # as long as a tick may take
  }
}

# What would be refused late, or would silence the alarms.
run "settings_of_the_platform_are_refused" {
  command         = plan
  expect_failures = [var.settings, var.database_name]
  variables {
    settings      = { PORT = "9000" }
    database_name = "Cron_Fire"
  }
}

run "a_level_that_hides_ticks_is_refused" {
  command         = plan
  expect_failures = [var.settings]
  variables {
    settings = { LOG_LEVEL = "warning" }
  }
}

run "a_budget_beside_its_variable_is_refused" {
  command         = plan
  expect_failures = [var.settings]
  variables {
    settings = { WORKER_BUDGET_SECONDS = "1700" }
  }
}

run "a_setting_has_one_place" {
  command         = plan
  expect_failures = [google_cloudfunctions2_function.main]
  variables {
    settings = { LLM_MODEL = "small" }
    secrets  = { LLM_MODEL = "a-secret" }
  }
}
