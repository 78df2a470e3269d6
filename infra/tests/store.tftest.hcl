mock_provider "google" {}

variables {
  project_id        = "example-project"
  region            = "europe-west1"
  collection_prefix = ""
}

run "the_database_is_protected_and_due_tasks_have_their_index" {
  command = plan

  assert {
    condition     = google_firestore_database.main.delete_protection_state == "DELETE_PROTECTION_ENABLED"
    error_message = "The database can be deleted."
  }

  assert {
    condition     = contains(keys(google_firestore_index.composite), "tasks:shard,nextRunAt")
    error_message = "Due tasks of a shard have no index."
  }
}

run "a_wrong_project_is_refused" {
  command         = plan
  expect_failures = [var.project_id]

  variables {
    project_id = "My Project"
  }
}
